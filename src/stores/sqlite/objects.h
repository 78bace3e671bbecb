// Names and small pieces of SQL that several parts of the store share.
#pragma once

#include <string>
#include <vector>

#include "store/store.h"
#include "stores/sqlite/connection.h"

namespace whimbrel::sqlite {

// The guard says that a write is our own: triggers of ours look at it and stand still. It is one
// row, set and reset within one statement, so nobody else sees it set; see guard_is_stuck().
inline constexpr const char* guard_table = "whimbrel_guard";
inline constexpr const char* guard_on = "UPDATE whimbrel_guard SET busy = 1";
inline constexpr const char* guard_off = "UPDATE whimbrel_guard SET busy = 0";
inline constexpr const char* guard_is_off = "(SELECT busy FROM whimbrel_guard) = 0";

Status make_guard(Connection& connection);
// Removes the guard when no trigger of ours needs it any more.
Status drop_guard_if_unused(Connection& connection);
Result<bool> has_guard(Connection& connection);
// An application's statement that fails by OR FAIL or RAISE(FAIL) keeps what it has done so far,
// and with it a guard that was set and not reset: from then on no trigger of ours does anything.
Result<bool> guard_is_stuck(Connection& connection);
Status free_guard(Connection& connection);

// A name of ours for something that belongs to `what`: whimbrel_3f9c2a11_kind.
std::string own_name(const std::string& what, const std::string& kind);
// Drops every trigger whose name begins with this.
Status drop_triggers(Connection& connection, const std::string& prefix);

// Every row goes, and no trigger of the user's hears of it: rows that we brought are taken away.
Status empty_table(Connection& connection, const std::string& table);

// VACUUM may number the rows of a table anew that has no INTEGER PRIMARY KEY
// (https://www.sqlite.org/lang_vacuum.html); a row of our own with a gap before it is a witness.
Status make_witness(Connection& connection, const std::string& name);
// Whether the witness stands where it was put. False as well when it is gone.
Result<bool> witness_stands(Connection& connection, const std::string& name);

// `k1 > ?1 AND …` over the key for a range, with its parameters appended.
std::string range_sql(const std::vector<std::string>& key, const std::string& qualifier,
                      const KeyRange& range, Row& parameters);
// `"t"."a", "t"."b"`
std::string qualified_list(const std::vector<std::string>& columns, const std::string& qualifier);

// The key `rows` further on; unset when fewer are left. `place` is the table's name as SQL.
Result<std::optional<Row>> key_at(Connection& connection, const std::vector<std::string>& columns,
                                  const std::string& place, const std::optional<Row>& after,
                                  std::int64_t rows);

}  // namespace whimbrel::sqlite
