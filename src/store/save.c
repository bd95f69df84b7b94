#include "store/save.h"

#include "base/die.h"

#include <assert.h>
#include <stdlib.h>

/* Buffers that a large image has made larger than this are given back. */
enum { TEXTS_KEEP_BYTES = 8 << 20 };

void save_free(struct save *save)
{
    free(save->rows);
    buf_free(&save->texts);
    buf_free(&save->image);
    uid_set_free(&save->deleted);
    *save = (struct save){0};
}

static struct save_row *row_add(struct save *save)
{
    if (save->count == save->cap) {
        save->cap = save->cap ? save->cap * 2 : 64;
        save->rows = die_realloc(save->rows, save->cap * sizeof save->rows[0]);
    }
    return &save->rows[save->count++];
}

static void take(struct save *save, struct instance *inst)
{
    struct image image;
    struct save_row *row = row_add(save);
    if (!inst->is_known_to_checkpoint) {
        /* Lists rely on it: who has no row yet is newer than everybody who has one. */
        assert(inst->uid > save->newest_uid);
        save->newest_uid = inst->uid;
    }
    instance_save(inst, &save->image, &image);
    *row = (struct save_row){.uid = inst->uid,
                             .sequence = inst->last_sequence,
                             .created_ms = inst->created_ms,
                             .updated_ms = inst->updated_ms,
                             .wake_ms = instance_wake_ms(inst),
                             .kind = inst->kind,
                             .status = inst->status,
                             .is_new = !inst->is_known_to_checkpoint,
                             .is_whole = image.is_whole,
                             .had_log = inst->has_log,
                             .texts = save->texts.len,
                             .id_len = inst->id_len,
                             .name_len = strlen(inst->name),
                             .state_len = image.state.len,
                             .history_len = image.history.len,
                             .log_len = image.log.len,
                             .input_len = image.input.len,
                             .output_len = image.output.len,
                             .parent_len = image.parent.len,
                             .tags_len = image.tags.len};
    buf_append(&save->texts, inst->id, row->id_len);
    buf_append(&save->texts, inst->name, row->name_len);
    buf_append(&save->texts, image.state.at, image.state.len);
    buf_append(&save->texts, image.history.at, image.history.len);
    buf_append(&save->texts, image.log.at, image.log.len);
    buf_append(&save->texts, image.input.at, image.input.len);
    buf_append(&save->texts, image.output.at, image.output.len);
    buf_append(&save->texts, image.parent.at, image.parent.len);
    buf_append(&save->texts, image.tags.at, image.tags.len);
    inst->is_known_to_checkpoint = true;
    inst->has_log = save_row_has_log(row);
    inst->is_being_saved = true;
}

void save_take(struct save *save, struct table *table, const struct save_limits *limits)
{
    struct instance *inst;
    if (save->texts.cap > TEXTS_KEEP_BYTES) {
        buf_free(&save->texts);
        buf_free(&save->image);
    }
    save->count = 0;
    save->texts.len = 0;
    while ((inst = table->dirty.oldest) && inst->dirty_sequence <= limits->until &&
           save->count < limits->count && save->texts.len < limits->bytes) {
        take(save, inst);
        table_clean(table, inst);
    }
}

void save_release(const struct save *save, struct table *table)
{
    for (size_t i = 0; i < save->count; i++) {
        struct instance *inst = table_find_uid(table, save->rows[i].uid);
        if (inst)
            inst->is_being_saved = false;
    }
}
