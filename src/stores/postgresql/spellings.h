// How texts were spelled that got another type, in `whimbrel.spellings`: as durable as the rows.
#pragma once

#include <map>
#include <string>

#include "stores/postgresql/connection.h"

namespace whimbrel::postgresql {

// Makes the table; for the text that makes a retype's own tables.
inline constexpr const char* spellings_ddl =
    "CREATE TABLE IF NOT EXISTS whimbrel.spellings (book text, now text, was text NOT NULL, "
    "PRIMARY KEY (book, now));\n";

// Fills the books of the sessions with what is there.
Status read_spellings(Connection& connection, Sessions& sessions);

using NewSpellings = std::map<std::string, Spellings::Entries>;  // by book
// Writes down, in the transaction that is open, what has been seen and is not there yet. A
// transaction that writes what was seen together with its rows has to do so first.
Result<NewSpellings> write_spellings(Connection& connection, Sessions& sessions);
// They are there: the transaction has been committed.
void spellings_are_kept(Sessions& sessions, const NewSpellings& written);

// Those of a column that is spelled so in the plan.
Status forget_spellings(Connection& connection, const std::string& book);

}  // namespace whimbrel::postgresql
