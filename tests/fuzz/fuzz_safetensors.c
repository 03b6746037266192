/* rooms: weights */
/* Any bytes as safetensors: refused with a reason, or arrays whose every byte can be read. */
#include "weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct weights w;
    struct status s = weights_parse(&w, "fuzz.safetensors", data, n);
    CHECK(s.code == STATUS_OK || s.code == STATUS_ARG, "%s", s.msg);
    CHECK(s.code == STATUS_OK || s.msg[0], "a failure without a reason");
    for (size_t i = 0; i < w.n; i++) {
        const struct weights_array *a = &w.a[i];
        float *values = mem_alloc(a->bytes / weights_dtype_size(a->dtype) * sizeof *values);
        weights_to_f32(a, values);
        free(values);
        CHECK(weights_find(&w, a->name) == a, "%s is not found", a->name);
    }
    weights_free(&w);
    return 0;
}
