/* Events and the named numbers in them. */
#include "parts.h"
#include <math.h>

void train_emit(const struct train_job *job, const char *ev, const char *format, ...)
{
    json_error_t e;
    va_list ap;
    va_start(ap, format);
    json_t *event = json_vpack_ex(&e, 0, format, ap);
    va_end(ap);
    CHECK(event, "event %s: %s", ev, e.text);
    json_object_set_new(event, "ev", json_string(ev));
    if (job->emit) job->emit(job->user, event);
    json_decref(event);
}

void train_warn(const struct train_job *job, const char *format, ...)
{
    char text[1200];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    log_warn("%s", text);
    train_emit(job, "log", "{s:s, s:o}", "level", "warn", "text", json_of_bytes(text)); /* a path may be any bytes */
}

void values_add(struct values *to, double v, const char *format, ...)
{
    CHECK(to->n < MAX_VALUES, "too many values");
    va_list ap;
    va_start(ap, format);
    vsnprintf(to->name[to->n], NAME_MAX_LEN, format, ap);
    va_end(ap);
    to->v[to->n++] = v;
}

double values_get(const struct values *from, const char *name, double def)
{
    for (int i = 0; i < from->n; i++)
        if (strcmp(from->name[i], name) == 0) return from->v[i];
    return def;
}

void values_put(json_t *to, const char *prefix, const struct values *from)
{
    for (int i = 0; i < from->n; i++) {
        char name[2 * NAME_MAX_LEN];
        snprintf(name, sizeof name, "%s%s", prefix, from->name[i]);
        json_object_set_new(to, name, isfinite(from->v[i]) ? json_real(from->v[i]) : json_null());
    }
}

json_t *values_json(const struct values *from)
{
    json_t *o = json_object();
    values_put(o, "", from);
    return o;
}
