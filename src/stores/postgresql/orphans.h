// Rows of a retyped table that refer to nothing by a column without a foreign key: what becomes of
// them where a plan says so.
//
// They are copied as they are. After the exchange they are deleted from the new table, or refer to
// something else from then on, in the way an application would do it: so the old table follows.
// What they were is kept in our own schema until `finish`, and put back before the way back begins.
#pragma once

#include "store/store.h"
#include "stores/postgresql/names.h"

namespace whimbrel::postgresql {

// What all spellings of one UUID have in common; as SQL, of SQL.
std::string digits_of(const std::string& text);

// Whether a plan wants something to become of them.
bool are_put_right(const AssumedKey& key);
// Notes down what is to become of them when the new table is made; a statement for the DDL of it.
Result<std::string> orphans_ddl(Connection& connection, const std::string& oid,
                                const TableSchema& table, const AssumedKey& key,
                                const std::string& type);
// After the exchange, by the numbers of the old tables; idempotent. Gives the rows it changed.
// Names in triggers mean to both what they mean to the application.
Result<std::int64_t> put_orphans_right(Connection& connection,
                                       const std::vector<std::string>& oids);
// Before the exchange is taken back; idempotent, and nothing puts them right afterwards. What the
// application has deleted, or given another value since, stays as it has made it.
Result<std::int64_t> bring_orphans_back(Connection& connection, Sessions& sessions,
                                        const std::vector<std::string>& oids);
// With all that was kept of the rows of this table.
Status forget_orphans(Connection& connection, const std::string& oid);

// What there is of them, and whether that can be done with them; reads every row.
Status review_orphans(Connection& connection, const std::string& place, const Mapping& mapping,
                      std::vector<Finding>& findings);

}  // namespace whimbrel::postgresql
