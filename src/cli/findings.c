#include "cli/findings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/jtext.h"

enum { NAME_COLUMNS = 20 };

static const char *const state_names[] = {"info", "ok", "missing"};
static const char *const state_marks[] = {" -- ", " ok ", " no "};
static const char *const state_colors[] = {"\x1B[2m", "\x1B[32m", "\x1B[31m"};

void findings_add(struct findings *findings, const char *group, const char *name,
                  enum finding_state state, const char *advice, const char *format, ...)
{
    if (findings->count == FINDINGS_MAX) {
        return;
    }
    struct finding *finding = &findings->items[findings->count++];
    *finding = (struct finding){.group = group, .name = name, .state = state, .advice = advice};
    va_list values;
    va_start(values, format);
    vsnprintf(finding->text, sizeof finding->text, format, values);
    va_end(values);
    /* Paths come from anywhere, and this goes to terminals. */
    for (char *c = finding->text; *c != '\0'; c++) {
        *c = (unsigned char)*c < ' ' || *c == 0x7F ? '?' : *c;
    }
}

bool findings_are_good(const struct findings *findings)
{
    return findings->is_run_good && findings->reached <= findings->required;
}

/* ---- For people ------------------------------------------------------------------------------ */

static int append_row(struct buf *out, const struct finding *finding, bool has_color)
{
    const char *text = finding->text;
    return buf_append_format(out, "%s%s%s  %-*s%s\n", has_color ? state_colors[finding->state] : "",
                             state_marks[finding->state], has_color ? "\x1B[0m" : "",
                             *text == '\0' ? 0 : NAME_COLUMNS, finding->name, text);
}

/* Whether an earlier finding of the same group has the same advice. */
static bool is_said(const struct findings *findings, unsigned index)
{
    const struct finding *finding = &findings->items[index];
    for (unsigned i = 0; i < index; i++) {
        const struct finding *other = &findings->items[i];
        if (other->advice != NULL && strcmp(other->group, finding->group) == 0 &&
            strcmp(other->advice, finding->advice) == 0) {
            return true;
        }
    }
    return false;
}

/* Behind a group, each once. */
static int append_advice(struct buf *out, const struct findings *findings, const char *group)
{
    for (unsigned i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        if (strcmp(finding->group, group) == 0 && finding->advice != NULL &&
            !is_said(findings, i) &&
            buf_append_format(out, "      to do: %s\n", finding->advice) != 0) {
            return -1;
        }
    }
    return 0;
}

static int append_verdict(struct buf *out, const struct findings *findings)
{
    const char *required = pool_jail_level_name(findings->required);
    const char *reached = pool_jail_level_name(findings->reached);
    if (!findings->is_run_good) {
        return buf_append_text(out, "\nNo program can be run.\n");
    }
    return findings->reached > findings->required
               ? buf_append_format(out, "\nThe jail reaches %s; --require-jail %s is not met.\n",
                                   reached, required)
               : buf_append_format(out,
                                   "\nPrograms run. The jail reaches %s; --require-jail %s is "
                                   "met.\n",
                                   reached, required);
}

int findings_append_text(struct buf *out, const struct findings *findings, bool has_color)
{
    const char *group = NULL;
    for (unsigned i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        if (group == NULL || strcmp(finding->group, group) != 0) {
            if ((group != NULL && append_advice(out, findings, group) != 0) ||
                buf_append_format(out, "%s%s\n", group == NULL ? "" : "\n", finding->group) != 0) {
                return -1;
            }
            group = finding->group;
        }
        if (append_row(out, finding, has_color) != 0) {
            return -1;
        }
    }
    return group != NULL && append_advice(out, findings, group) != 0
               ? -1
               : append_verdict(out, findings);
}

/* ---- For machines ---------------------------------------------------------------------------- */

static int append_member(struct buf *out, const char *before, const char *key, const char *text)
{
    return buf_append_format(out, "%s\"%s\":", before, key) != 0
               ? -1
               : jtext_append_string(out, span_of(text));
}

static int append_finding(struct buf *out, const struct finding *finding)
{
    return append_member(out, "{", "group", finding->group) != 0 ||
                   append_member(out, ",", "name", finding->name) != 0 ||
                   append_member(out, ",", "state", state_names[finding->state]) != 0 ||
                   append_member(out, ",", "text", finding->text) != 0 ||
                   (finding->advice != NULL &&
                    append_member(out, ",", "advice", finding->advice) != 0)
               ? -1
               : buf_append_char(out, '}');
}

int findings_append_json(struct buf *out, const struct findings *findings)
{
    if (append_member(out, "{", "version", VITRINE_VERSION) != 0 ||
        append_member(out, ",", "jail", pool_jail_level_name(findings->reached)) != 0 ||
        append_member(out, ",", "required_jail", pool_jail_level_name(findings->required)) != 0 ||
        buf_append_format(
            out, ",\"runs\":%s,\"start_us\":%" PRIu64 ",\"run_us\":%" PRIu64 ",\"findings\":[",
            findings->is_run_good ? "true" : "false", findings->start_us, findings->run_us) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < findings->count; i++) {
        if ((i > 0 && buf_append_char(out, ',') != 0) ||
            append_finding(out, &findings->items[i]) != 0) {
            return -1;
        }
    }
    return buf_append_text(out, "]}\n");
}
