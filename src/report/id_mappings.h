// Which new id stands for which old one, in a copy with a book of its rows (store/own_rows.h).
#pragma once

#include <string>
#include <vector>

#include "journal/record.h"
#include "plan/migration.h"

namespace whimbrel {

// Every row of the copy as a line of `id-mappings.jsonl.zst` in the state folder: table, from, to.
// Memory stays as it is, however many there are. Nothing is written where there is no book.
Status write_id_mappings(const std::string& folder, const Migration& migration);

struct IdMapping {
  std::string table;
  std::string from;  // as a person reads it
  std::string to;
};
// What became of a row with this key, and of what a row with this key was made; by an index, also
// among millions. The id is looked for as a text and, where it is one, as a whole number; a key of
// several columns is spelled with commas between them.
// Errors: not_found where the migration keeps no book; those of its file.
Result<std::vector<IdMapping>> look_up_id(const std::string& folder, const State& state,
                                          const std::string& id);

}  // namespace whimbrel
