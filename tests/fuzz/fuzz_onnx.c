/* rooms: export */
/* Any bytes as an ONNX file: refused with a place, or a summary whose every part can be asked and adds up. */
#include "export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t ask(const struct export_tensor *t, int n)
{
    size_t chars = 0;
    for (int i = 0; i < n; i++) {
        CHECK(t[i].rank >= 0 && t[i].rank <= EXPORT_MAX_RANK, "rank %d", t[i].rank);
        chars += strlen(t[i].name);
    }
    return chars;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct export_summary s;
    struct status st = export_onnx_parse(&s, "fuzz.onnx", data, n);
    CHECK(st.code == STATUS_OK || (st.code == STATUS_ARG && st.msg[0]), "%d %s", (int)st.code, st.msg);
    if (st.code != STATUS_OK) {
        CHECK(!s.ops && !s.inputs && !s.initializers && !s.meta, "a failure and a result");
        return 0;
    }
    int nodes = 0;
    for (int i = 0; i < s.n_ops; i++) {
        CHECK(s.ops[i].n > 0 && (i == 0 || strcmp(s.ops[i - 1].op, s.ops[i].op) < 0), "operators are not sorted");
        nodes += s.ops[i].n;
    }
    CHECK(nodes == s.n_nodes, "got %d nodes by operator, expected %d", nodes, s.n_nodes);
    size_t chars = ask(s.inputs, s.n_inputs) + ask(s.outputs, s.n_outputs) + ask(s.initializers, s.n_initializers);
    CHECK(chars <= n, "names are longer than the file");
    for (int i = 0; i < s.n_meta; i++) CHECK(export_summary_meta(&s, s.meta[i].key), "metadata that is not found");
    export_summary_free(&s);
    return 0;
}
