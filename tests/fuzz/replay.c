/* Runs a fuzz target over files in a normal build: each whole, and cut short at evenly spaced places.
   replay-NAME FOLDER; returns 1 when the folder holds no file, for then nothing was tested. */
#include "base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { CUTS = 32 };

/* In a buffer of exactly its size, so that a sanitizer sees a read past the end. */
static void feed(const char *bytes, size_t n)
{
    uint8_t *copy = mem_alloc(n ? n : 1);
    if (n) memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

int main(int argc, char **argv)
{
    struct arena a = {0};
    char **names;
    size_t n;
    if (argc != 2) return 2;
    struct status s = fs_list(&names, &n, &a, argv[1]);
    for (size_t i = 0; s.code == STATUS_OK && i < n; i++) {
        char *bytes;
        size_t size;
        s = fs_read(&bytes, &size, fs_join(&a, argv[1], names[i]));
        if (s.code != STATUS_OK) break;
        feed(bytes, size);
        for (size_t cut = 0; cut < CUTS; cut++) feed(bytes, size * cut / CUTS);
        free(bytes);
    }
    if (s.code != STATUS_OK) fprintf(stderr, "%s\n", s.msg);
    printf("%s: %zu files, each whole and cut at %d places\n", argv[1], n, (int)CUTS);
    arena_free(&a);
    return s.code == STATUS_OK && n ? 0 : 1;
}
