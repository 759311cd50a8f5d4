/* The schema of structured content. docs/results.md is made from it (tools/check_docs.py). */
#include "result/render.h"

#define TEXT(description)  "{\"type\":\"string\",\"description\":\"" description "\"}"
#define COUNT(description) "{\"type\":\"integer\",\"description\":\"" description "\"}"
#define TIME(description)  "{\"type\":\"number\",\"description\":\"" description "\"}"

#define STATUS                                                                                     \
    "{\"type\":\"string\",\"enum\":[\"success\",\"run-error\",\"install-error\",\"limit\","        \
    "\"crash\",\"refused\",\"cancelled\"],\"description\":\"How the run ended\"}"

#define OUTPUT                                                                                     \
    "{\"type\":\"array\",\"description\":\"Both streams, and what was displayed, in order. After " \
    "2000 changes between the streams the rest of each is one item\",\"items\":{\"type\":"         \
    "\"object\",\"properties\":{\"stream\":{\"type\":\"string\",\"enum\":[\"stdout\",\"stderr\","  \
    "\"display\"]},\"text\":{\"type\":\"string\"}},\"required\":[\"stream\",\"text\"]}}"

#define WHOLE                                                                                      \
    "{\"type\":\"object\",\"description\":\"The picture before it was made smaller\","             \
    "\"properties\":{\"media_type\":{\"type\":\"string\"},\"bytes\":{\"type\":\"integer\"},"       \
    "\"width\":{\"type\":\"integer\"},\"height\":{\"type\":\"integer\"},"                          \
    "\"file\":" TEXT("Which of the files has it") "}}"

#define FORM                                                                                                           \
    "{\"type\":[\"string\",\"object\"],\"properties\":{"                                                               \
    "\"bytes\":" COUNT("Its size") ",\"width\":" COUNT("Pixels") ",\"height\":" COUNT("Pixels") ",\"content\":" COUNT( \
        "Which item of the result's content has the picture") ",\"left_out\":" TEXT("Why the "                         \
                                                                                    "content "                         \
                                                                                    "does not "                        \
                                                                                    "have it") ","                     \
                                                                                               "\"whole\":" WHOLE      \
                                                                                               "}"                     \
                                                                                               "}"

#define DISPLAY                                                                                    \
    "{\"type\":\"array\",\"description\":\"What the program showed: display(), figures, and what " \
    "its value has beside text. By media type: a text as it is, of pictures and of long texts an " \
    "object that describes them\",\"items\":{\"type\":\"object\",\"additionalProperties\":" FORM   \
    "}}"

#define FILES                                                                                                             \
    "{\"type\":\"array\",\"description\":\"Files that the program made or changed in its working "                        \
    "directory\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},"                          \
    "\"size\":{\"type\":\"integer\"},\"media_type\":{\"type\":\"string\"},\"text\":" TEXT(                                \
        "The "                                                                                                            \
        "conten"                                                                                                          \
        "t of "                                                                                                           \
        "a "                                                                                                              \
        "small "                                                                                                          \
        "text") ",\"blob\":" TEXT("The content of another small file, in "                                                \
                                  "base64") ",\"uri\":" TEXT("A resource that has the content") "},"                      \
                                                                                                "\"required\":[\"name\"," \
                                                                                                "\"size\",\"media_type\"]}}"

#define ERROR                                                                                      \
    "{\"type\":[\"object\",\"null\"],\"description\":\"What went wrong; null with success\","      \
    "\"properties\":{\"type\":" TEXT("Class of the exception") ",\"message\":" TEXT(               \
        "What the "                                                                                \
        "exception "                                                                               \
        "says, or a "                                                                              \
        "sentence of "                                                                             \
        "the "                                                                                     \
        "server's") ",\"traceback\":" TEXT("As Python prints it") ",\"line\":{\"type\":["          \
                                                                  "\"integer\",\"null\"],"         \
                                                                  "\"description\":\"Line of "     \
                                                                  "python_code\"}},"               \
                                                                  "\"required\":[\"type\","        \
                                                                  "\"message\",\"traceback\","     \
                                                                  "\"line\"]}"

#define DEPENDENCIES                                                                               \
    "{\"type\":\"array\",\"description\":\"Packages that were installed for the program\","        \
    "\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},"               \
    "\"version\":{\"type\":\"string\"},\"sha256\":" TEXT(                                          \
        "Of the wheel") "},"                                                                       \
                        "\"required\":[\"name\",\"version\",\"sha256\"]}}"

#define LIMITS                                                                                     \
    "{\"type\":\"array\",\"description\":\"Limits that were reached: time, cpu, output, memory, "  \
    "file-bytes, file-count, open-files, result, display, recursion\",\"items\":{\"type\":"        \
    "\"string\"}}"

#define TRUNCATED                                                                                  \
    "{\"type\":\"object\",\"description\":\"Of what a part is missing, because of a limit\","      \
    "\"properties\":{\"stdout\":{\"type\":\"boolean\"},\"stderr\":{\"type\":\"boolean\"},"         \
    "\"return_value\":{\"type\":\"boolean\"},\"display\":{\"type\":\"boolean\"}},"                 \
    "\"required\":[\"stdout\",\"stderr\",\"return_value\",\"display\"]}"

#define TIMINGS                                                                                        \
    "{\"type\":\"object\",\"properties\":{\"install_ms\":" TIME(                                       \
        "Getting packages") ",\"queue_ms\":" TIME("Waiting for an interpreter") ",\"wall_"             \
                                                                                "ms\":" TIME(          \
                                                                                    "Run"              \
                                                                                    "nin"              \
                                                                                    "g") ",\"cpu_"     \
                                                                                         "ms\""        \
                                                                                         ":" TIME(     \
                                                                                             "Com"     \
                                                                                             "put"     \
                                                                                             "in"      \
                                                                                             "g") "}," \
                                                                                                  "\"required\":[\"install_ms\",\"queue_ms\",\"wall_ms\",\"cpu_ms\"]}"

const char result_schema_json[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"status\":" STATUS
    ",\"exit_code\":" COUNT("Exit status that a shell would see") ",\"stdout\":" TEXT(
        "Everyth"
        "ing "
        "written"
        " to "
        "stdout") ",\"stderr\":" TEXT("Everything written to stderr") ",\"output\":" OUTPUT
                                                                      ",\"display\":" DISPLAY
                                                                      ",\"files\":" FILES
                                                                      ",\"files_left_"
                                                                      "out\":" COUNT(
                                                                          "Files that were "
                                                                          "made too, and are "
                                                                          "not listed") ",\"ret"
                                                                                        "urn_"
                                                                                        "value"
                                                                                        "\":{"
                                                                                        "\"desc"
                                                                                        "riptio"
                                                                                        "n\":"
                                                                                        "\"Valu"
                                                                                        "e of "
                                                                                        "the "
                                                                                        "last "
                                                                                        "expres"
                                                                                        "sion, "
                                                                                        "as "
                                                                                        "JSON\""
                                                                                        "}"
                                                                                        ",\"ret"
                                                                                        "urn_"
                                                                                        "value_"
                                                                                        "note\""
                                                                                        ":" TEXT(
                                                                                            "Wh"
                                                                                            "y "
                                                                                            "re"
                                                                                            "tu"
                                                                                            "rn"
                                                                                            "_v"
                                                                                            "al"
                                                                                            "ue"
                                                                                            " i"
                                                                                            "s "
                                                                                            "no"
                                                                                            "t "
                                                                                            "th"
                                                                                            "e "
                                                                                            "wh"
                                                                                            "ol"
                                                                                            "e "
                                                                                            "va"
                                                                                            "lu"
                                                                                            "e:"
                                                                                            " "
                                                                                            "tr"
                                                                                            "un"
                                                                                            "ca"
                                                                                            "te"
                                                                                            "d,"
                                                                                            " r"
                                                                                            "ep"
                                                                                            "r "
                                                                                            "or"
                                                                                            " "
                                                                                            "in"
                                                                                            "va"
                                                                                            "li"
                                                                                            "d") ","
                                                                                                 "\"error\":" ERROR
                                                                                                 ","
                                                                                                 "\"dependencies\":" DEPENDENCIES
                                                                                                 ","
                                                                                                 "\"install_log\":" TEXT(
                                                                                                     "With "
                                                                                                     "install-"
                                                                                                     "error: what "
                                                                                                     "led to it") ",\"retry_after_ms\":" COUNT("With refused: the server is busy, "
                                                                                                                                               "and may have room after this "
                                                                                                                                               "time") ",\"limits\":" LIMITS
                                                                                                                                                       ",\"truncated\":" TRUNCATED
                                                                                                                                                       ",\"timings\":" TIMINGS
                                                                                                                                                       ",\"memory_bytes\":" COUNT(
                                                                                                                                                           "The interpreter's "
                                                                                                                                                           "memory at the end") "}"
                                                                                                                                                                                ","
                                                                                                                                                                                "\"required\":[\"status\",\"exit_code\",\"stdout\",\"stderr\",\"output\",\"return_value\","
                                                                                                                                                                                "\"error\",\"dependencies\",\"limits\",\"truncated\",\"timings\",\"memory_bytes\"]}";
