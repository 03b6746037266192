/* rooms: store engine */
/* Any bytes as a journal: rows or refusals, and a database that is sound after it; as a claim, and as words of Slurm.
 */
#include "slurm.h"
#include "store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void as_words(const char *text, size_t n)
{
    struct slurm_claim c;
    size_t half = n / 2;
    if (slurm_claim_of(&c, text, n, text + half, n - half)) slurm_claim_free(&c, NULL, "1_0", 1);
    char *whole = mem_alloc(n + 1);
    if (n) memcpy(whole, text, n);
    whole[n] = 0;
    json_decref(slurm_queue_of(whole));
    slurm_max_array(whole);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    as_words((const char *)data, n);
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
