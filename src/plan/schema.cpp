// The JSON Schema of a plan, as far as this release carries it out.
#include "plan/plan_file.h"

namespace whimbrel {

std::string plan_schema() {
  return R"json({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "whimbrel plan",
  "type": "object",
  "required": ["whimbrel", "migration", "stores"],
  "oneOf": [{"required": ["tables"]}, {"required": ["retype"]}],
  "additionalProperties": false,
  "properties": {
    "whimbrel": {"const": 1, "description": "The grammar that the plan is written in."},
    "migration": {
      "type": "string",
      "description": "The name: letters, digits, `-`, `_` and `.`. The state folder is `.whimbrel/NAME` beside the plan."},
    "vars": {
      "type": "object",
      "additionalProperties": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "default": {
            "type": ["string", "number", "boolean", "null"],
            "description": "The value when `--var` gives none."},
          "environment": {
            "const": "first",
            "description": "The default is only for where the environment has no such variable either."},
          "one_of": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The only values that are allowed."}},
        "description": "One variable."},
      "description": "Variables that the plan uses as `${NAME}`. A value comes from `--var`, else from here, else from the environment."},
    "variant": {
      "type": "string",
      "description": "Which of `variants` is meant, mostly a variable."},
    "variants": {
      "type": "object",
      "additionalProperties": {
        "type": ["object", "null"],
        "description": "What differs from the rest of the plan: any keys of a plan but `whimbrel` and `variant`."},
      "description": "Variants by name. The one that is meant is merged over the rest of the plan: maps are merged, lists and scalars replaced."},
    "dry_run": {
      "type": ["boolean", "string"],
      "description": "`run` changes nothing, as with `--dry-run`. Takes a variable, so that an environment can decide.",
      "default": false},
    "log": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "level": {
          "type": "string",
          "description": "`debug`, `info`, `warning` or `error`. Lines of lesser weight are left out.",
          "default": "info"},
        "file": {
          "type": "string",
          "description": "The log, relative to the state folder.",
          "default": "migration.log"},
        "table": {
          "$ref": "#/$defs/address",
          "description": "A table that gets a line for each operation, with its status, times and a message; made where it is missing, in a store that has schemas."}},
      "description": "Where and how much is logged. Values of rows never are."},
    "stores": {
      "type": "object",
      "minProperties": 1,
      "additionalProperties": {
        "oneOf": [
          {"type": "string"},
          {
            "type": "object",
            "required": ["url"],
            "additionalProperties": false,
            "properties": {
              "url": {"type": "string", "description": "The same, where a map is wanted."},
              "lock_timeout": {
                "$ref": "#/$defs/duration",
                "description": "How long a lock is waited for that others wait behind, in a store that locks tables.",
                "default": "200ms"},
              "statement_timeout": {
                "$ref": "#/$defs/duration",
                "description": "How long a statement may take there, but for index builds and validation.",
                "default": "30s"}}}]},
      "description": "The databases, each under a name of your choice, as a URL: the kind of store, a colon, and where it is. A path is relative to the plan."},
    "tables": {
      "type": "array",
      "minItems": 1,
      "items": {"$ref": "#/$defs/table"},
      "description": "What moves where: a list, in any order."},
    "retype": {
      "type": "array",
      "minItems": 1,
      "items": {"$ref": "#/$defs/retype"},
      "description": "Instead of `tables`: columns that get another type in place, with all that refer to them."},
    "sync": {
      "enum": ["dual", "capture", "none"],
      "description": "How both sides are kept equal: `dual` by triggers in the writer's transaction, `capture` by noting keys, `none` by a window.",
      "default": "capture"},
    "limits": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "batch_size": {
          "$ref": "#/$defs/count",
          "description": "Rows a chunk, at most. Without it a chunk has as many as take about 25 ms, up to 100,000."},
        "workers": {
          "$ref": "#/$defs/count",
          "description": "Threads that copy and compare. Several tables profit, one does not.",
          "default": 2},
        "rows_per_s": {"$ref": "#/$defs/count", "description": "Rows a second, at most, while copying."},
        "rcu": {
          "$ref": "#/$defs/amount",
          "description": "Units of reading a second, at most, of a store that counts capacity."},
        "wcu": {"$ref": "#/$defs/amount", "description": "Units of writing a second, at most."},
        "share": {
          "type": "string",
          "pattern": "^([0-9]+(\\.[0-9]+)? ?%|\\$\\{.*)$",
          "description": "The share of a table's capacity that may be used, like `50%`."},
        "raise": {
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "rcu": {"$ref": "#/$defs/count", "description": "Units of reading a second, of each old table."},
            "wcu": {"$ref": "#/$defs/count", "description": "Units of writing a second, of each new table and each of its indexes."}},
          "description": "What tables with provisioned capacity get at least while they are copied. What they had is put back after the copy, and by `rollback`; what somebody has set meanwhile stays."},
        "replica_lag": {
          "$ref": "#/$defs/duration",
          "description": "Copying inside a store waits while a replica of it is further behind."},
        "wal_kept": {
          "type": ["string", "integer"],
          "description": "Copying inside a store waits while a replication slot keeps more of its log back, like `10GB`."}},
      "description": "What the engine may use."},
    "verify": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "full": {"const": true, "description": "Every row. There is no other way.", "default": true},
        "references": {
          "type": "boolean",
          "description": "Under `ids`: also that each reference of a copied row leads to a row of the new side.",
          "default": false}},
      "description": "How much is compared before the switch."},
    "backup": {
      "oneOf": [
        {"const": "none"},
        {
          "type": "object",
          "required": ["to"],
          "additionalProperties": false,
          "properties": {
            "of": {
              "type": "array",
              "items": {"enum": ["source", "target"]},
              "description": "Which sides. Without it nothing is saved."},
            "to": {
              "$ref": "#/$defs/backup_places",
              "description": "Where; of a list the first that the store offers."},
            "point_in_time": {
              "const": "enable",
              "description": "Where the store can restore a table to any moment, that is switched on."}}}],
      "description": "What is saved before anything is changed: `none`, or a map with `of` and `to`.",
      "default": "none"},
    "cutover": {
      "oneOf": [
        {"enum": ["auto", "manual"]},
        {
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "start": {
              "enum": ["auto", "manual"],
              "description": "`manual`: `run` ends when everything is compared, and `whimbrel cutover` switches.",
              "default": "auto"},
            "max_hold": {
              "$ref": "#/$defs/duration",
              "description": "How long writers may be held at the switch; `30s` where `hold` is a list, and then at least `3s`. Not beside `window`.",
              "default": "1s"},
            "window": {
              "type": "object",
              "required": ["max"],
              "additionalProperties": false,
              "properties": {
                "max": {
                  "$ref": "#/$defs/duration",
                  "description": "How long it may last. Then writers go on, and nothing is switched."},
                "forecast": {
                  "enum": ["refuse", "warn"],
                  "description": "`refuse`: the window is not begun when the forecast says that its time will not do.",
                  "default": "warn"}},
              "description": "Needed under `sync: none`: the time in which writers are held and everything is compared. Under `sync: capture` it says the same as `max_hold`."},
            "hold": {
              "oneOf": [
                {"const": "none"},
                {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/switch"}}],
              "description": "`none`: writers are not held at the switch. What still reaches the old side is carried over. Only under `sync: capture`. Or what holds the application where the store cannot: settings that are put on, and put back as they were found."},
            "stragglers": {
              "type": "object",
              "additionalProperties": false,
              "properties": {
                "quiet": {
                  "$ref": "#/$defs/duration",
                  "description": "It ends when nobody has written to the old side for so long.",
                  "default": "10s"},
                "conflicts": {
                  "enum": ["stop", "keep_new"],
                  "description": "A row that was written on both sides: stop and name it, or leave the new side's; `repaired.jsonl` keeps the other version. On the way back the old side's stays, and the other is kept.",
                  "default": "stop"}},
              "description": "Only with `hold: none`: late writes to the old side."},
            "hours": {
              "type": "string",
              "pattern": "^([0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]|\\$\\{.*)$",
              "description": "When the switch may begin, like `\"22:00-05:00\"`, in the machine's own time."},
            "switches": {
              "type": "array",
              "items": {"$ref": "#/$defs/switch"},
              "description": "What tells the application to use the new side, flipped in this order.",
              "default": []}}}],
      "description": "The switch: `auto`, `manual`, or a map.",
      "default": "auto"},
    "checks": {
      "type": "array",
      "items": {"$ref": "#/$defs/check"},
      "description": "Questions of your own. Where the answer is wrong, `run` fails; after the switch it switches back.",
      "default": []},
    "queries": {
      "type": "object",
      "additionalProperties": {"$ref": "#/$defs/query"},
      "description": "Queries to be measured, by name."},
    "criteria": {"$ref": "#/$defs/criteria", "description": "What a measurement is judged by."},
    "advisory": {"$ref": "#/$defs/criteria", "description": "What a measurement tells without failing."},
    "watch": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "every": {
          "$ref": "#/$defs/duration",
          "description": "How often the time after the switch is checked. Of two clean checks closer than that only one counts.",
          "default": "1d"},
        "part": {
          "type": "string",
          "pattern": "^([0-9]+/[0-9]+|\\$\\{.*)$",
          "description": "How much of the keys a check compares, besides all that has changed since the last one: `1/7` is the next seventh. Without it every row.",
          "default": "1/1"},
        "webhook": {
          "type": "string",
          "description": "A URL that gets JSON by POST when a check is not clean. A variable in it is told to nobody."},
        "alarm": {
          "type": "object",
          "required": ["name", "metric", "above"],
          "additionalProperties": false,
          "properties": {
            "name": {"type": "string", "description": "What it is called there."},
            "metric": {
              "type": "string",
              "description": "Its namespace, a blank, its name, like `AWS/Lambda Errors`. `whimbrel NotClean` is what each check sends: 1 when it is not clean, else 0."},
            "above": {"type": "number", "description": "It goes off when the sum of a period is above this."},
            "period": {
              "$ref": "#/$defs/duration",
              "description": "Whole minutes.",
              "default": "5m"},
            "times": {
              "$ref": "#/$defs/count",
              "description": "So many periods in a row.",
              "default": 1}},
          "description": "An alarm of CloudWatch, which each check makes, or makes so again. It stays when the migration is finished."}},
      "description": "What `whimbrel watch` does after the switch. It may be changed at any time."},
    "finish": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "after": {
          "$ref": "#/$defs/duration",
          "description": "How long after the switch the way back stays open; `finish` refuses before.",
          "default": "0s"},
        "clean_checks": {
          "type": "integer",
          "minimum": 0,
          "description": "How many checks of `whimbrel watch` have to have been clean in a row; `finish` refuses before.",
          "default": 0},
        "rename_source_to": {
          "type": "string",
          "description": "The old table's new name. For a plan with one table."},
        "view": {
          "type": "boolean",
          "description": "A view with the old table's name shows the rows of the new table.",
          "default": false},
        "drop_after": {
          "$ref": "#/$defs/duration",
          "description": "How long after `finish` a later `finish` drops the renamed table, after archiving it."},
        "keep_source": {
          "type": ["boolean", "string"],
          "description": "`false`: the old table is archived below the state folder and dropped, unless it is renamed.",
          "default": true},
        "backup": {
          "$ref": "#/$defs/backup_places",
          "description": "Where the old tables are archived before anything of them goes; of a list the first that the store offers."},
        "keep_backup": {
          "type": "boolean",
          "description": "`false`: a backup in a schema of the database goes as well.",
          "default": true}},
      "description": "What `whimbrel finish` does with the old table."},
    "protect": {"const": "production", "description": "`--force` is refused."},
    "rehearsal": {"const": "required", "description": "`check` and `run` want the report of a run and a rollback of this plan in another variant: `.whimbrel/<its name>/migration-report-latest.json` beside this one's state folder."},
    "on_failure": {
      "enum": ["stop", "rollback"],
      "description": "`rollback`: a `run` that fails goes back and exits with 4.",
      "default": "stop"},
    "on_error": {
      "enum": ["fail", "reject"],
      "description": "For all tables: rows that cannot be converted stop it before it starts, or are set aside in `rejected.jsonl`.",
      "default": "fail"},
    "ids": {
      "type": "object",
      "required": ["from"],
      "additionalProperties": false,
      "properties": {
        "column": {
          "type": "string",
          "description": "The key column that gets new ids, in each table that has it.",
          "default": "id"},
        "format": {
          "enum": ["short", "uuid", "hex", "prefixed"],
          "description": "`short`: two groups of eight in `[0-9a-z]`; `uuid`: RFC 9562, version 8; `hex`: 32 digits; `prefixed`: `prefix` and a short one.",
          "default": "short"},
        "prefix": {
          "type": "string",
          "description": "What a `prefixed` id begins with."},
        "from": {
          "type": "array",
          "items": {"type": ["string", "number", "boolean"]},
          "description": "What an id is computed of: `name` (the table's), `id` (the old id), and texts. SHA-256 of these gives the same id every time."}},
      "description": "Rows get new ids, computed from the old ones. Nothing leads back, so this is a copy: it needs `sync: none`, and nobody is switched over."},
    "references": {
      "type": "object",
      "additionalProperties": {
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/reference"},
        "description": "The columns of one table, or of all whose name fits a pattern with `*`. A path leads into a value: `items[].product_id`."},
      "description": "Which columns hold ids of other tables: they get the new ones. References that the source declares need not be said."},
    "sample": {
      "type": "object",
      "additionalProperties": {"type": "integer", "minimum": 1},
      "description": "So many rows of these tables, spread evenly and the same in every run; with them what refers to them, and so on, and then all that these refer to. Tables that no reference connects with them are taken whole. It makes the migration a copy."},
    "on_conflict": {"$ref": "#/$defs/on_conflict", "description": "For all tables: what an equal key in the target does.", "default": "fail"},
    "orphans": {"$ref": "#/$defs/orphans", "description": "For all tables: what becomes of rows that refer to nothing.", "default": "fail"}},
  "$defs": {
    "backup_places": {
      "oneOf": [
        {"$ref": "#/$defs/backup_place"},
        {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/backup_place"}}],
      "description": "A place, or a list of which the first that the store offers is taken."},
    "backup_place": {
      "type": "string",
      "pattern": "^((file|schema|native):.|s3://[^/?])",
      "description": "`file:FOLDER`, below the state folder unless the path is absolute; `s3://BUCKET/PREFIX`, with `?region=…&profile=…&role_arn=…&endpoint=…` where they are not those of the environment; `schema:NAME`, in the database itself, in a store that has schemas; `native:NAME`, the store's own backups, with `{table}` and `{date}` in their names."},
    "item": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "when": {
          "type": "object",
          "properties": {
            "present": {
              "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
              "description": "By itself: rows that have a value in this column, or in all of these."}},
          "additionalProperties": {"$ref": "#/$defs/condition"},
          "description": "Only rows for which this holds have such an item."},
        "columns": {"type": "object", "additionalProperties": {"$ref": "#/$defs/value"}, "description": "As of a table."},
        "same": {"type": "array", "items": {"type": "string"}, "description": "As of a table."},
        "rest": {"enum": ["forbid", "copy", "drop"], "description": "As of a table."}},
      "description": "What one row becomes."},
    "on_conflict": {
      "enum": ["fail", "skip", "overwrite", "merge"],
      "description": "What an equal key in the target does, in a copy among rows of others: it stops the copy before it begins; it stays, and ours is left out; ours is written over it; or ours is, except where ours is null. A rollback puts back what was written over."},
    "orphans": {
      "oneOf": [
        {"enum": ["fail", "keep", "null", "reject", "delete", null]},
        {"type": "object", "required": ["assign"], "additionalProperties": false,
         "properties": {"assign": {"description": "The key, on the old side, of the row that they are given to."}}}],
      "description": "Rows that refer to rows that are not there, or not taken: they stop it before it starts, move as they are, with null in that place, are set aside, left out, or given to another row. All but the first two make the migration a copy."},
    "condition": {
      "oneOf": [
        {"type": ["string", "number", "boolean", "null"]},
        {"type": "array"},
        {"type": "object", "additionalProperties": false, "properties": {
          "not": {"description": "None of these."},
          "at_least": {"description": "This or more."},
          "above": {"description": "More than this."},
          "at_most": {"description": "This or less."},
          "below": {"description": "Less than this."},
          "begins_with": {"description": "Texts that begin so."}}}],
      "description": "A value, a list of which one has to be equal, or a map of comparisons. Numbers are compared by value, texts by bytes; null is equal to null alone."},
    "reference": {
      "oneOf": [
        {"type": "string"},
        {"type": "object", "required": ["to"], "additionalProperties": false, "properties": {
          "to": {"type": "string", "description": "The table that it leads to."},
          "as": {"type": "string", "description": "What the text is around the id, with `{id}` once."}}},
        {"type": "array", "items": {"$ref": "#/$defs/reference"}}],
      "description": "The table that a column refers to, or a map where the id is only a part of the text."},
    "amount": {
      "oneOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": "^\\$\\{"}],
      "description": "A number greater than 0."},
    "count": {
      "oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^\\$\\{"}],
      "description": "A whole number from 1 on."},
    "duration": {
      "type": "string",
      "pattern": "^([0-9]+(ms|s|m|h|d)|\\$\\{.*)$",
      "description": "A number with `ms`, `s`, `m`, `h` or `d`, like `250ms` or `7d`."},
    "address": {
      "type": "string",
      "pattern": "^[^/]+/.+",
      "description": "`STORE/TABLE`, with the name from `stores`. Odd names in double quotes: `app/\"old orders\"`."},
    "table": {
      "type": "object",
      "required": ["from", "to"],
      "additionalProperties": false,
      "properties": {
        "as": {
          "type": "string",
          "description": "A name for it in output and commands.",
          "default": "the source table"},
        "from": {"$ref": "#/$defs/address", "description": "The old table."},
        "to": {"$ref": "#/$defs/address", "description": "The new table."},
        "create": {
          "type": "string",
          "description": "A file with its `CREATE TABLE` and indexes, relative to the plan, or `like-source`: made if it is missing, compared if it is there. `exists`: it has to be there.",
          "default": "exists"},
        "columns": {
          "type": "object",
          "additionalProperties": {"$ref": "#/$defs/value"},
          "description": "Each new column and what it comes from. Without it every column is copied."},
        "items": {
          "type": "array",
          "minItems": 1,
          "items": {"$ref": "#/$defs/item"},
          "description": "One row becomes several, each with its own `columns`, `same` and `rest`. The first leads back to the row; the others follow from it."},
        "group": {
          "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
          "description": "Rows with the same values in these columns become one; `collect` makes a document of what else they hold."},
        "same": {
          "type": "array",
          "items": {"type": "string"},
          "description": "Columns that keep their names.",
          "default": []},
        "rest": {
          "enum": ["forbid", "copy", "drop"],
          "description": "Old columns that nothing mentions: `forbid` is a mistake, `copy` copies them, `drop` leaves them behind. Where rows may have any attributes, the same of those.",
          "default": "forbid with `columns`, else copy"},
        "indexes": {
          "enum": ["online", "after"],
          "description": "`after`: the new table's indexes are made when the rows have moved, which is faster, and holds writers longer.",
          "default": "online"},
        "on_error": {
          "enum": ["fail", "reject"],
          "description": "Rows that cannot be converted: stop before it starts, or set aside. `reject` not under `sync: dual`.",
          "default": "that of the plan"},
        "on_conflict": {"$ref": "#/$defs/on_conflict", "description": "What an equal key in the target does.", "default": "that of the plan"},
        "orphans": {"$ref": "#/$defs/orphans", "description": "What becomes of rows that refer to nothing.", "default": "that of the plan"},
        "mask": {
          "type": "object",
          "additionalProperties": {"enum": ["email", "name", "phone"]},
          "description": "Columns, or paths into them, whose personal data becomes unreadable: the same value always becomes the same, in the same format. It makes the migration a copy."},
        "where": {
          "type": "object",
          "additionalProperties": {"$ref": "#/$defs/condition"},
          "description": "Only rows for which every condition holds are taken; it makes the migration a copy. A row that is left out is not there for the rows that refer to it: see `orphans`."},
        "limit": {
          "type": "integer",
          "minimum": 1,
          "description": "At most so many rows, the first in the order of the store, of those that `where` leaves. It makes the migration a copy; what refers to the others is for `orphans`."},
        "names": {
          "type": "array",
          "items": {"type": "string"},
          "description": "One table for each of these, put where `{name}` stands in `from` and `to`. A name has to be there; a pattern with `*` may match nothing; `!` before one takes tables out again."},
        "id": {
          "enum": ["keep", "new"],
          "description": "Under `ids`: whether rows of this table get new ids.",
          "default": "new"},
        "health": {
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "newest": {"type": "string", "description": "A column with the time of a row."},
            "groups": {"type": "string", "description": "A column whose values are counted."},
            "stuck": {
              "type": "object",
              "required": ["where", "for"],
              "additionalProperties": false,
              "properties": {
                "where": {
                  "type": "object",
                  "minProperties": 1,
                  "additionalProperties": {
                    "oneOf": [
                      {"$ref": "#/$defs/scalar"},
                      {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/scalar"}}]},
                  "description": "Columns and the values that are not there for long when all is well."},
                "for": {"$ref": "#/$defs/duration", "description": "How long is too long, by `newest`."}},
              "description": "Rows that are stuck. Needs `newest`."}},
          "description": "What tells whether the application is well, for `diagnose summary`."}},
      "description": "One table that moves."},
    "scalar": {
      "type": ["string", "number", "boolean", "null"],
      "description": "A text, number, truth value or null."},
    "value": {
      "oneOf": [{"$ref": "#/$defs/scalar"}, {"$ref": "#/$defs/function"}],
      "description": "A name copies a column, `{name}` in a text inserts one, numbers, truth values and null are constants, a map computes."},
    "function": {
      "type": "object",
      "properties": {
        "const": {"$ref": "#/$defs/scalar", "description": "This value, in every row."},
        "from": {
          "type": "string",
          "description": "A column, so that `if_null` can stand beside it. Beside `time`: the form that is read."},
        "cast": {
          "$ref": "#/$defs/value",
          "description": "This value as another type. What would not come back the same is refused."},
        "to": {
          "enum": ["integer", "real", "text", "bytes"],
          "description": "Beside `cast`: the type."},
        "json": {"description": "A document: maps and lists of values."},
        "extract": {"type": "string", "description": "A value out of a document: `column.name[0].name`."},
        "map": {"$ref": "#/$defs/value", "description": "One value for another; `values` says which."},
        "values": {"type": "object", "description": "Beside `map`: old to new."},
        "else": {
          "$ref": "#/$defs/scalar",
          "description": "Beside `map`: for all other values. Without it they are refused."},
        "others": {"const": "keep", "description": "Beside `map`: other values stay as they are."},
        "lenient": {
          "type": "boolean",
          "description": "Beside `extract`: a text that is no JSON gives null and is not refused.",
          "default": false},
        "between": {
          "$ref": "#/$defs/value",
          "description": "What stands between `prefix` and `suffix` in this text, else null."},
        "prefix": {"type": "string", "description": "Beside `between`.", "default": ""},
        "suffix": {"type": "string", "description": "Beside `between`.", "default": ""},
        "coalesce": {
          "type": "array",
          "items": {"$ref": "#/$defs/value"},
          "description": "The first of these that is not null."},
        "concat": {
          "type": "array",
          "items": {"$ref": "#/$defs/value"},
          "description": "All of these as one text; null if one is null."},
        "split": {"$ref": "#/$defs/value", "description": "A part of this text."},
        "by": {
          "oneOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true}],
          "description": "Beside `split`: where the text is cut. Beside `lookup`: the column that holds the other table's key, or a list of them, in the order of that key. Beside `collect`: the column that names each value."},
        "part": {"type": "integer", "minimum": 1, "description": "Beside `split`: which part, from 1."},
        "time": {"$ref": "#/$defs/value", "description": "This time in another form."},
        "as": {
          "enum": ["iso8601", "epoch_s", "epoch_ms"],
          "description": "Beside `time`: the form that is written."},
        "round": {
          "const": "down",
          "description": "Beside `time` with `as: epoch_s`: a part of a second is left out instead of refused."},
        "lookup": {
          "type": "string",
          "description": "A column of a row of another table of the plan, found by its key; null where there is no such row. It follows when that row changes. Under `group`, by columns of the group."},
        "in": {"type": "string", "description": "Beside `lookup`: that table, as the plan calls it."},
        "collect": {
          "oneOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true}],
          "description": "Under `group`: the values of this column, as a document; of a list of columns, a document of a document for each row. Not inside of another function."},
        "if_null": {
          "$ref": "#/$defs/value",
          "description": "Beside any function: the value when the result is null."}},
      "additionalProperties": false,
      "anyOf": [
        {"required": ["const"]},
        {"required": ["from"]},
        {"required": ["cast", "to"]},
        {"required": ["json"]},
        {"required": ["extract"]},
        {"required": ["between"]},
        {"required": ["map", "values"]},
        {"required": ["coalesce"]},
        {"required": ["concat"]},
        {"required": ["split", "by", "part"]},
        {"required": ["time", "from", "as"]},
        {"required": ["lookup", "in", "by"]},
        {"required": ["collect", "by"]}],
      "description": "Exactly one function, the keys that belong to it, and perhaps `if_null`."},
    "pairs": {
      "type": "object",
      "minProperties": 1,
      "additionalProperties": {"$ref": "#/$defs/scalar"},
      "description": "Columns and their values, at least one."},
    "words": {
      "type": "array",
      "minItems": 1,
      "items": {"type": "string"},
      "description": "A list of words, at least one."},
    "switch": {
      "oneOf": [
        {
          "type": "object",
          "required": ["row", "key", "set"],
          "additionalProperties": false,
          "properties": {
            "row": {
              "$ref": "#/$defs/address",
              "description": "The table with the row that your application asks."},
            "key": {"$ref": "#/$defs/pairs", "description": "The row: each column of the table's key."},
            "set": {
              "$ref": "#/$defs/pairs",
              "description": "What is set there. The way back puts back what was there."},
            "create": {
              "type": "boolean",
              "description": "The row is made if it is missing, and taken away on the way back.",
              "default": false}}},
        {
          "type": "object",
          "required": ["command", "undo"],
          "additionalProperties": false,
          "properties": {
            "command": {
              "$ref": "#/$defs/words",
              "description": "A program and its arguments, started in the plan's folder, without a shell. Exit code 0: flipped."},
            "undo": {"$ref": "#/$defs/words", "description": "The command that takes it back."},
            "state": {
              "$ref": "#/$defs/words",
              "description": "A command that tells how it is: exit code 0 is switched, 1 is not."}}},
        {
          "type": "object",
          "required": ["lambda"],
          "additionalProperties": false,
          "anyOf": [{"required": ["set"]}, {"required": ["unset"]}],
          "properties": {
            "lambda": {
              "oneOf": [{"type": "string"}, {"$ref": "#/$defs/words"}],
              "description": "Functions of AWS Lambda, one or a list, whose environment variables are changed. The others stay."},
            "set": {"$ref": "#/$defs/settings", "description": "Variables and their values."},
            "unset": {"$ref": "#/$defs/words", "description": "Variables that go."}}},
        {
          "type": "object",
          "required": ["env_file"],
          "additionalProperties": false,
          "anyOf": [{"required": ["set"]}, {"required": ["unset"]}],
          "properties": {
            "env_file": {
              "type": "string",
              "description": "A file of `KEY=VALUE` lines, relative to the plan. Only the lines of these keys change."},
            "set": {"$ref": "#/$defs/settings", "description": "Keys and their values."},
            "unset": {"$ref": "#/$defs/words", "description": "Keys that go."}}},
        {
          "type": "object",
          "required": ["ssm", "set"],
          "additionalProperties": false,
          "properties": {
            "ssm": {
              "type": "string",
              "description": "A parameter of AWS Systems Manager that is there already."},
            "set": {"$ref": "#/$defs/scalar", "description": "Its new value. The way back takes the version that was there."}}},
        {
          "type": "object",
          "required": ["lambda_concurrency", "set"],
          "additionalProperties": false,
          "properties": {
            "lambda_concurrency": {
              "oneOf": [{"type": "string"}, {"$ref": "#/$defs/words"}],
              "description": "Functions of AWS Lambda, one or a list, whose reserved concurrency is set."},
            "set": {"type": "integer", "minimum": 0, "description": "How many may run at once; 0 stops them."}}},
        {
          "type": "object",
          "required": ["s3", "set"],
          "additionalProperties": false,
          "properties": {
            "s3": {
              "type": "string",
              "pattern": "^s3://[^/]+/.",
              "description": "An object of settings, `s3://BUCKET/KEY`. It is written only if it is still what was read."},
            "set": {"$ref": "#/$defs/scalar", "description": "Its whole text. The way back puts back what was there."}}},
        {
          "type": "object",
          "required": ["http", "undo"],
          "additionalProperties": false,
          "oneOf": [{"required": ["post"]}, {"required": ["put"]}, {"required": ["patch"]}, {"required": ["delete"]}],
          "properties": {
            "http": {"type": "string", "description": "The URL of a service that is told."},
            "post": {"$ref": "#/$defs/sent", "description": "The JSON that is sent as POST. A variable in it is told to nobody."},
            "put": {"$ref": "#/$defs/sent", "description": "The same as PUT."},
            "patch": {"$ref": "#/$defs/sent", "description": "The same as PATCH."},
            "delete": {"$ref": "#/$defs/sent", "description": "The same as DELETE."},
            "headers": {"$ref": "#/$defs/headers", "description": "Headers, like `{Authorization: \"Bearer ${TOKEN}\"}`. A variable in them is told to nobody."},
            "expect": {"$ref": "#/$defs/answer", "description": "What has to be answered; without it any status from 200 to 299."},
            "undo": {
              "type": "object",
              "additionalProperties": false,
              "oneOf": [{"required": ["post"]}, {"required": ["put"]}, {"required": ["patch"]}, {"required": ["delete"]}],
              "properties": {
                "http": {"type": "string", "description": "Another URL."},
                "post": {"$ref": "#/$defs/sent", "description": "The JSON that is sent as POST. A variable in it is told to nobody."},
                "put": {"$ref": "#/$defs/sent", "description": "The same as PUT."},
                "patch": {"$ref": "#/$defs/sent", "description": "The same as PATCH."},
                "delete": {"$ref": "#/$defs/sent", "description": "The same as DELETE."},
                "headers": {"$ref": "#/$defs/headers", "description": "Headers, like `{Authorization: \"Bearer ${TOKEN}\"}`. A variable in them is told to nobody."},
                "expect": {"$ref": "#/$defs/answer", "description": "What has to be answered; without it any status from 200 to 299."}},
              "description": "The request that takes it back; URL and headers are the same unless it says others."},
            "state": {
              "type": "object",
              "required": ["expect"],
              "additionalProperties": false,
              "properties": {
                "http": {"type": "string", "description": "Another URL."},
                "post": {"$ref": "#/$defs/sent", "description": "The JSON that is sent as POST. A variable in it is told to nobody."},
                "headers": {"$ref": "#/$defs/headers", "description": "Headers, like `{Authorization: \"Bearer ${TOKEN}\"}`. A variable in them is told to nobody."},
                "expect": {"$ref": "#/$defs/answer", "description": "What has to be answered; without it any status from 200 to 299."}},
              "description": "A request that is answered as `expect` says where it is switched."}}},
        {
          "type": "object",
          "required": ["file", "set"],
          "additionalProperties": false,
          "properties": {
            "file": {"type": "string", "description": "A file, relative to the plan."},
            "set": {"$ref": "#/$defs/scalar", "description": "Its whole text. The way back puts back what was there."}}}],
      "description": "A row, a command, or something outside of the stores. What was there before is put back on the way back."},
    "retype": {
      "type": "object",
      "required": ["table", "column", "to"],
      "additionalProperties": false,
      "properties": {
        "table": {"$ref": "#/$defs/address", "description": "The table."},
        "column": {"type": "string", "description": "Its column."},
        "to": {"type": "string", "description": "The type it gets, as the database spells it."},
        "using": {"$ref": "#/$defs/value", "description": "What becomes of a value, as under `columns`; without it the database casts. In it the column is called by its own name, also for those that refer to it."},
        "inverse": {"$ref": "#/$defs/value", "description": "What leads back, as under `columns`, from the new column of the same name; without it what follows from `using`."},
        "follow": {
          "const": "references",
          "description": "Columns that refer to it by a foreign key get the same type.",
          "default": "references"},
        "also": {
          "type": "array",
          "items": {"type": "string"},
          "description": "Columns that refer to it without a foreign key, as `STORE/TABLE.COLUMN`."},
        "on_invalid": {
          "oneOf": [
            {"enum": ["fail", "normalise"]},
            {"type": "object", "required": ["map"], "additionalProperties": false,
             "properties": {"map": {"type": "string", "description": "A CSV file with lines `old,new`: the texts that are meant."}}}],
          "description": "Values that do not convert, or whose text would be another one afterwards: they are refused, or become what they spell in another way (upper case, braces, without hyphens, spaces around), or what a file says. A rollback gives the old texts back.",
          "default": "fail"},
        "orphans": {
          "oneOf": [
            {"enum": ["fail", "keep", "null", "delete", null]},
            {"type": "object", "required": ["assign"], "additionalProperties": false,
             "properties": {"assign": {"description": "The key of the row that they refer to from then on."}}}],
          "description": "Rows whose column of `also` refers to nothing: they are refused, stay as they are, or are put right in the new table after the switch, with null in that place, deleted, or given to another row. A rollback brings them back.",
          "default": "fail"},
        "method": {
          "enum": ["auto", "shadow_table", "rewrite"],
          "description": "New tables beside the old ones, which take their names at the switch. `auto` and `shadow_table` note what is written meanwhile; `rewrite` notes nothing, and compares everything in `cutover: {window: …}` while writers are held.",
          "default": "auto"}},
      "description": "One column, and what it becomes."},
    "sent": {
      "type": ["object", "array"],
      "description": "The JSON that is sent with this method. A variable in it is told to nobody."},
    "headers": {
      "type": "object",
      "additionalProperties": {"type": ["string", "number"]},
      "description": "Headers of the request, like `{Authorization: \"Bearer ${TOKEN}\"}`. A variable in them is told to nobody."},
    "answer": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "status": {
          "type": "integer",
          "minimum": 100,
          "maximum": 599,
          "description": "The status of the answer. Without it any from 200 to 299."},
        "json": {"description": "Each member that it names has to be there and equal, at every depth; others may be there."}},
      "description": "What has to be answered."},
    "settings": {
      "type": "object",
      "minProperties": 1,
      "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
      "additionalProperties": {"type": ["string", "number", "boolean"]},
      "description": "Names and their values, at least one."},
    "query": {
      "type": "object",
      "required": ["old"],
      "additionalProperties": false,
      "properties": {
        "old": {
          "type": "string",
          "minLength": 1,
          "description": "As it is asked of the old side. `:name` is a parameter."},
        "new": {"type": "string", "minLength": 1, "description": "The same question, of the new side. Under `retype` it may be left out: the text is the same."},
        "with": {
          "type": "object",
          "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
          "additionalProperties": {
            "oneOf": [
              {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/scalar"}},
              {"type": "string", "description": "A text made of other parameters: `USER#{id}`."},
              {
                "type": "object",
                "required": ["sample", "of"],
                "additionalProperties": false,
                "properties": {
                  "sample": {"type": "string", "description": "A column."},
                  "of": {"type": "string", "description": "A table, as the plan calls it."}}}]},
          "description": "The values that each parameter takes, in turn: a list, or those of a column in some rows of a table."}},
      "description": "One question that the application asks, of either side."},
    "share": {
      "oneOf": [{"const": 0}, {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)? ?%|0|\\$\\{.*)$"}],
      "description": "A share of all, like `0.1%`."},
    "change": {
      "oneOf": [{"const": 0}, {"type": "string", "pattern": "^([-+]?[0-9]+(\\.[0-9]+)? ?%|0|\\$\\{.*)$"}],
      "description": "How much more or less the new side may have, like `-30%`."},
    "criteria": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "lost": {
          "oneOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^([0-9]+|\\$\\{.*)$"}],
          "description": "Rows that may be missing on the new side at the last full comparison."},
        "errors": {"$ref": "#/$defs/share", "description": "The share of queries that may fail."},
        "longest_stall": {
          "$ref": "#/$defs/duration",
          "description": "How long any writer may be kept waiting."},
        "writer_uptime": {
          "$ref": "#/$defs/share",
          "description": "The share of the time in which writers were not held."},
        "p50_change": {
          "$ref": "#/$defs/change",
          "description": "The median latency of each query, new against old."},
        "p95_change": {
          "$ref": "#/$defs/change",
          "description": "The latency that 95 % of the answers keep to, new against old."},
        "p99_change": {"$ref": "#/$defs/change", "description": "The same for 99 %."},
        "throughput_change": {"$ref": "#/$defs/change", "description": "Answers a second, new against old."},
        "storage_change": {
          "$ref": "#/$defs/change",
          "description": "Bytes of the tables and their indexes, new against old."},
        "p50": {"$ref": "#/$defs/duration", "description": "The longest median latency."},
        "p95": {
          "$ref": "#/$defs/duration",
          "description": "The longest latency of 95 % of the answers."},
        "p99": {
          "$ref": "#/$defs/duration",
          "description": "The longest latency of 99 % of the answers."}},
      "description": "What the result is judged by."},
    "check": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "at": {
          "enum": ["before", "held", "after", "watch"],
          "description": "`before` anything is made, `held` while writers are held, `after` the switch, `watch` when `watch` or `finish` is asked.",
          "default": "after"},
        "sql": {
          "type": "string",
          "description": "A query with one value, asked of the first store that understands it."},
        "command": {
          "$ref": "#/$defs/words",
          "description": "A program and its arguments; exit code 0 is good."},
        "expect": {
          "oneOf": [
            {"$ref": "#/$defs/scalar"},
            {"$ref": "#/$defs/answer"}],
          "description": "The value that `sql` has to give; beside `http` a map."},
        "http": {
          "type": "string",
          "description": "A URL that is asked, as GET or with `post` as POST. A variable in it is told to nobody."},
        "post": {"$ref": "#/$defs/sent", "description": "Beside `http`: the JSON that is sent."},
        "headers": {"$ref": "#/$defs/headers", "description": "Beside `http`."},
        "new_rows": {
          "type": "string",
          "description": "A table of the plan, by its name: the application has to write a row of it, `at: after` since the switch, `at: watch` since the last check."},
        "within": {
          "$ref": "#/$defs/duration",
          "description": "Beside `new_rows` how long is waited for it, `5m` when unsaid, and not at all `at: watch`; beside `http` how long it is asked again, `5s`; beside `metric` how long it is looked at and has to stay below, once when unsaid."},
        "metric": {
          "type": "string",
          "description": "A metric of CloudWatch: its namespace, a blank, its name. What counts is its sum over the last hour."},
        "of": {"type": "string", "description": "Beside `metric`: the function, table or other resource."},
        "below": {"type": "number", "description": "`sql`, or the metric, has to give a number below this."}},
      "oneOf": [
        {"required": ["sql"]},
        {"required": ["command"]},
        {"required": ["new_rows"]},
        {"required": ["metric", "below"]},
        {"required": ["http"]}],
      "description": "One of `sql`, `command`, `new_rows`, `metric` and `http`."}}}
)json";
}

}  // namespace whimbrel
