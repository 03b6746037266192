/* rooms: export */
/* Any bytes as a Core ML program, the second half of them its weights: refused with words, or counts that add up. */
#include "export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct export_package p;
    struct status st = export_coreml_parse(&p, "fuzz.mlmodel", data, n, data + n / 2, n - n / 2);
    CHECK(st.code == STATUS_OK || (st.code == STATUS_ARG && st.msg[0]), "%d %s", (int)st.code, st.msg);
    CHECK(p.n_operations >= 0 && p.n_weights >= 0 && (size_t)p.n_operations <= n, "more operations than bytes");
    return 0;
}
