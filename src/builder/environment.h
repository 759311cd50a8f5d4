/*
 * What `vitrine-precompile` makes of wheels. Two steps, each a process of its own that is jailed
 * before it looks at a wheel:
 *
 *   wheel WHEEL.whl OUTDIR --guest GUESTDIR [--sha256 HEX]
 *       Checks the wheel as src/wheel/wheel.h says, compiles its side modules and its bytecode, and
 *       fills the empty folder OUTDIR:
 *         wheel.img      /lib/python3.14/site-packages with the wheel's files, bytecode beside each
 *                        source, and a link record (guest/dylink/record.h) in the place of each .so
 *         SUM.cwasm      machine code of each side module, named by the sum of its WebAssembly
 *         modules        one line each: "SUM SUM.cwasm"
 *         about.json     {"name", "version", "sha256", "file", "top_level": [...],
 *                        "requires": [...], "files": N, "modules": N}
 *       The sandbox's own names win: a top-level module or package that the standard library of
 *       GUESTDIR has, too, is left out with a warning, and so are js and vitrine. Also left out:
 *       *.pth of site-packages, scripts, headers, data, and bytecode that the wheel brings.
 *
 *   environment OUTDIR --wheel WHEELDIR... [--about FILE.json] [--guest GUESTDIR [--preload NAMES]]
 *       Merges the folders that `wheel` made into one environment, in the empty folder OUTDIR:
 *         packages.img   all files; two wheels with the same file are refused, unless the bytes
 *                        are equal
 *         SUM.cwasm      links (hard, or copies) to the wheels' machine code
 *         modules        as above, for all
 *         environment.json   the file given by --about, unchanged
 *         snapshot       with --guest: a guest of that folder, booted with the environment, that
 * has imported NAMES (with commas between) ahead. Left out with a warning where it cannot be made
 *
 * Both exit with 0, 1 (the last line on standard error says why), or 2 (usage). The caller makes
 * OUTDIR under a temporary name and renames it when the status is 0: a killed build leaves nothing.
 */
#ifndef BUILDER_ENVIRONMENT_H
#define BUILDER_ENVIRONMENT_H

#define ENVIRONMENT_IMAGE_FILE   "packages.img"
#define ENVIRONMENT_MODULES_FILE "modules"
#define ENVIRONMENT_ABOUT_FILE   "environment.json"
#define WHEEL_IMAGE_FILE         "wheel.img"
#define WHEEL_MODULES_FILE       "modules"
#define WHEEL_ABOUT_FILE         "about.json"
#define SITE_PACKAGES            "/lib/python3.14/site-packages"

#endif
