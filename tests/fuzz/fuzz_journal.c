/* rooms: store */
/* Any bytes as a journal: rows or refusals, and a database that is sound after it. */
#include "store.h"
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct store *s;
    struct store_replayed r;
    struct status st = store_open(&s, (struct store_options){.path = "./none.db", .memory = true});
    CHECK(st.code == STATUS_OK, "%s", st.msg);
    st = store_replay_text(&r, s, (const char *)data, n);
    CHECK(st.code == STATUS_OK, "%s", st.msg);
    CHECK(r.rows >= 0 && r.refused >= 0, "counts");
    st = store_integrity(s);
    CHECK(st.code == STATUS_OK, "%s", st.msg);
    store_close(s);
    return 0;
}
