/*
 * The program `vitrine-fetch`: the only one that uses the network. It is asked over descriptor 3
 * (wire.h, the fetch socket) and never sees a program or a client's request.
 *
 * Nobody can name an address to it. A project's page is looked for at the configured indexes, the
 * first that has it counts; a wheel or its METADATA is named by SHA-256, and only sums are served
 * that stand in the distribution's lock file or on a page that was read before. Each answer has
 * been checked against its sum, or (pages) against what a page may be.
 *
 * A page is answered as PEP 691 JSON, made anew by us:
 *   {"meta": {"api-version": "1.1"}, "name": NAME, "index": N, "left_out": {"sdist": N, "no_hash":
 * N, "too_new": N, "other": N}, "files": [{"filename", "url": "SHA256/FILENAME", "hashes":
 * {"sha256"}, "core-metadata": true, and where the index gives them "requires-python", "size",
 * "upload-time", "yanked"}]} with wheels alone in `files`. The index may have answered in JSON (PEP
 * 691) or HTML (PEP 503).
 *
 * METADATA comes from the index's own METADATA file where it has one (PEP 658, 714; checked by its
 * sum), else out of the wheel.
 *
 * Network rules: https alone; at most LIMIT_FETCH_REDIRECTS_MAX redirects, each https; an address
 * that is not public is refused at the moment of connecting, unless the host is one that the
 * configuration itself names; sizes and times are capped (limits.h, LIMIT_FETCH_*), bodies are
 * decompressed under the same cap. Proxies and certificates: HTTPS_PROXY, ALL_PROXY, NO_PROXY,
 * SSL_CERT_FILE, SSL_CERT_DIR, and the configuration frame.
 */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

/* Serves the socket until it is closed. Returns the exit status. */
int fetch_main(int argc, char **argv);

#endif
