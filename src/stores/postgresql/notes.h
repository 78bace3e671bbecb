// Feeds: triggers that note the keys of what is written, in the writer's own transaction.
//
// Each note carries the transaction that made it. A position is a snapshot: what is to be read next
// is what was not visible in it and is visible now, so that neither the order in which numbers are
// given nor the order of commits matters, and a long transaction of somebody else holds nothing up.
// https://www.postgresql.org/docs/15/functions-info.html#FUNCTIONS-PG-SNAPSHOT
#pragma once

#include "store/store.h"
#include "stores/postgresql/connection.h"
#include "value/schema.h"

namespace whimbrel::postgresql {

// Whether there is what has the notes of a feed: whimbrel.log_….
Result<bool> has_log(Connection& connection, const std::string& feed);

Status make_log(Connection& connection, const std::string& feed);
// In a transaction of its own: it waits for everybody who is writing to the table.
Status make_trigger(Connection& connection, const std::string& feed, const TableSchema& table);
// As if all rows of this partition, the quoted name, had been written just now.
Status note_rows(Connection& connection, const std::string& feed, const TableSchema& table,
                 const std::string& partition);
// TRUNCATE of a single partition is noted as well; those that came since are watched from here on.
// In a transaction of its own.
Status watch_partitions(Connection& connection, const std::string& feed, const TableSchema& table);
// Without triggers nobody writes to the log any more.
Status drop_trigger(Connection& connection, const std::string& feed, const std::string& oid);
Status drop_log(Connection& connection, const std::string& feed);
Result<bool> has_trigger(Connection& connection, const std::string& feed, const std::string& oid);
// The tables that this feed watches, by number.
Result<std::vector<std::string>> watched_by(Connection& connection, const std::string& feed);

// The same tables as they were when the triggers were made, by the names that the notes have.
Result<std::vector<TableSchema>> tables_noted(Connection& connection, const std::string& feed);

// Before everything that a log has.
inline constexpr const char* first_position = "1:1:";
Result<ChangeBatch> read_notes(Connection& connection, const std::string& feed,
                               const std::string& position, std::int64_t changes_max,
                               const std::vector<TableSchema>& tables);
Result<std::int64_t> notes_waiting(Connection& connection, const std::string& feed,
                                   const std::string& position);

}  // namespace whimbrel::postgresql
