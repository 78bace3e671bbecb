// The JSON Schema of a plan, as far as this release carries it out.
#include "plan/plan_file.h"

namespace whimbrel {

std::string plan_schema() {
  return R"json({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "whimbrel plan",
  "type": "object",
  "required": ["whimbrel", "migration", "stores", "tables"],
  "additionalProperties": false,
  "properties": {
    "whimbrel": {"const": 1},
    "migration": {"type": "string"},
    "vars": {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": false,
      "properties": {"default": {"type": ["string", "number", "boolean", "null"]}, "one_of": {"type": "array", "items": {"type": "string"}}}}},
    "dry_run": {"type": ["boolean", "string"]},
    "log": {"type": "object", "additionalProperties": false, "properties": {
      "level": {"type": "string"}, "file": {"type": "string"}}},
    "stores": {"type": "object", "minProperties": 1, "additionalProperties": {"oneOf": [
      {"type": "string"}, {"type": "object", "required": ["url"], "additionalProperties": false, "properties": {"url": {"type": "string"}}}]}},
    "tables": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/table"}},
    "sync": {"enum": ["dual", "capture", "none"]},
    "limits": {"type": "object", "additionalProperties": false, "properties": {
      "batch_size": {"$ref": "#/$defs/count"}, "workers": {"$ref": "#/$defs/count"}, "rows_per_s": {"$ref": "#/$defs/count"}}},
    "verify": {"type": "object", "additionalProperties": false, "properties": {"full": {"const": true}}},
    "backup": {"oneOf": [{"const": "none"}, {"type": "object", "required": ["to"], "additionalProperties": false, "properties": {
      "of": {"type": "array", "items": {"enum": ["source", "target"]}}, "to": {"type": "string", "pattern": "^file:."}}}]},
    "cutover": {"oneOf": [{"enum": ["auto", "manual"]}, {"type": "object", "additionalProperties": false, "properties": {
      "start": {"enum": ["auto", "manual"]}, "max_hold": {"$ref": "#/$defs/duration"},
      "window": {"type": "object", "required": ["max"], "additionalProperties": false, "properties": {
        "max": {"$ref": "#/$defs/duration"}, "forecast": {"enum": ["refuse", "warn"]}}},
      "switches": {"type": "array", "items": {"$ref": "#/$defs/switch"}}}}]},
    "checks": {"type": "array", "items": {"$ref": "#/$defs/check"}},
    "queries": {"type": "object", "additionalProperties": {"$ref": "#/$defs/query"}},
    "criteria": {"$ref": "#/$defs/criteria"},
    "advisory": {"$ref": "#/$defs/criteria"},
    "finish": {"type": "object", "additionalProperties": false, "properties": {
      "after": {"$ref": "#/$defs/duration"}, "rename_source_to": {"type": "string"}, "view": {"type": "boolean"},
      "drop_after": {"$ref": "#/$defs/duration"}, "keep_source": {"type": ["boolean", "string"]}}},
    "protect": {"const": "production"},
    "on_failure": {"enum": ["stop", "rollback"]},
    "on_error": {"enum": ["fail", "reject"]},
    "on_conflict": {"const": "fail"},
    "orphans": {"enum": ["fail", "keep"]}
  },
  "$defs": {
    "count": {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^\\$\\{"}]},
    "duration": {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d)|\\$\\{.*)$"},
    "address": {"type": "string", "pattern": "^[^/]+/.+"},
    "table": {"type": "object", "required": ["from", "to"], "additionalProperties": false, "properties": {
      "as": {"type": "string"}, "from": {"$ref": "#/$defs/address"}, "to": {"$ref": "#/$defs/address"},
      "create": {"type": "string"}, "columns": {"type": "object", "additionalProperties": {"$ref": "#/$defs/value"}},
      "same": {"type": "array", "items": {"type": "string"}}, "rest": {"enum": ["forbid", "copy", "drop"]},
      "indexes": {"enum": ["online", "after"]}, "on_error": {"enum": ["fail", "reject"]}, "on_conflict": {"const": "fail"},
      "orphans": {"enum": ["fail", "keep"]}}},
    "scalar": {"type": ["string", "number", "boolean", "null"]},
    "value": {"oneOf": [{"$ref": "#/$defs/scalar"}, {"$ref": "#/$defs/function"}]},
    "function": {"type": "object", "properties": {
      "const": {"$ref": "#/$defs/scalar"}, "from": {"type": "string"}, "cast": {"$ref": "#/$defs/value"},
      "to": {"enum": ["integer", "real", "text", "bytes"]}, "json": {}, "extract": {"type": "string"},
      "map": {"$ref": "#/$defs/value"}, "values": {"type": "object"}, "else": {"$ref": "#/$defs/scalar"}, "others": {"const": "keep"}, "lenient": {"type": "boolean"},
      "between": {"$ref": "#/$defs/value"}, "prefix": {"type": "string"}, "suffix": {"type": "string"},
      "coalesce": {"type": "array", "items": {"$ref": "#/$defs/value"}}, "concat": {"type": "array", "items": {"$ref": "#/$defs/value"}},
      "split": {"$ref": "#/$defs/value"}, "by": {"type": "string"}, "part": {"type": "integer", "minimum": 1},
      "time": {"$ref": "#/$defs/value"}, "as": {"enum": ["iso8601", "epoch_s", "epoch_ms"]},
      "if_null": {"$ref": "#/$defs/value"}}, "additionalProperties": false,
      "anyOf": [{"required": ["const"]}, {"required": ["from"]}, {"required": ["cast", "to"]}, {"required": ["json"]},
        {"required": ["extract"]}, {"required": ["between"]}, {"required": ["map", "values"]}, {"required": ["coalesce"]}, {"required": ["concat"]},
        {"required": ["split", "by", "part"]}, {"required": ["time", "from", "as"]}]},
    "pairs": {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/scalar"}},
    "words": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    "switch": {"oneOf": [
      {"type": "object", "required": ["row", "key", "set"], "additionalProperties": false, "properties": {
        "row": {"$ref": "#/$defs/address"}, "key": {"$ref": "#/$defs/pairs"}, "set": {"$ref": "#/$defs/pairs"}, "create": {"type": "boolean"}}},
      {"type": "object", "required": ["command", "undo"], "additionalProperties": false, "properties": {
        "command": {"$ref": "#/$defs/words"}, "undo": {"$ref": "#/$defs/words"}, "state": {"$ref": "#/$defs/words"}}}]},
    "query": {"type": "object", "required": ["old", "new"], "additionalProperties": false, "properties": {
      "old": {"type": "string", "minLength": 1}, "new": {"type": "string", "minLength": 1},
      "with": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "additionalProperties": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/scalar"}}}}},
    "share": {"oneOf": [{"const": 0}, {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)? ?%|0|\\$\\{.*)$"}]},
    "change": {"oneOf": [{"const": 0}, {"type": "string", "pattern": "^([-+]?[0-9]+(\\.[0-9]+)? ?%|0|\\$\\{.*)$"}]},
    "criteria": {"type": "object", "additionalProperties": false, "properties": {
      "lost": {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^([0-9]+|\\$\\{.*)$"}]},
      "errors": {"$ref": "#/$defs/share"}, "writer_uptime": {"$ref": "#/$defs/share"},
      "p50_change": {"$ref": "#/$defs/change"}, "p95_change": {"$ref": "#/$defs/change"}, "p99_change": {"$ref": "#/$defs/change"},
      "throughput_change": {"$ref": "#/$defs/change"}, "storage_change": {"$ref": "#/$defs/change"},
      "p50": {"$ref": "#/$defs/duration"}, "p95": {"$ref": "#/$defs/duration"}, "p99": {"$ref": "#/$defs/duration"}}},
    "check": {"type": "object", "additionalProperties": false, "properties": {
      "at": {"enum": ["before", "held", "after", "watch"]}, "sql": {"type": "string"}, "command": {"$ref": "#/$defs/words"},
      "expect": {"$ref": "#/$defs/scalar"}, "below": {"type": "number"}},
      "oneOf": [{"required": ["sql"]}, {"required": ["command"]}]}
  }
}
)json";
}

}  // namespace whimbrel
