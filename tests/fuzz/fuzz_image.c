/* rooms: data */
/* Any bytes as an image: refused with a reason, or pixels that can be resampled. */
#include "data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct data_image im;
    struct status s = data_image_parse(&im, "fuzz.jpg", data, n);
    CHECK(s.code == STATUS_OK || s.code == STATUS_ARG, "%s", s.msg);
    CHECK((s.code == STATUS_OK) == (im.rgb != NULL), "a failure and a result");
    if (im.rgb) {
        uint8_t small[7 * 5 * 3], large[3];
        data_resample(small, 7, 5, im.rgb, im.height, im.width);
        data_resample(large, 1, 1, im.rgb, im.height, im.width);
    }
    data_image_free(&im);
    return 0;
}
