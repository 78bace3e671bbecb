#include "stores/postgresql/spellings.h"

#include "stores/postgresql/names.h"
#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

Status read_spellings(Connection& connection, Sessions& sessions) {
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "spellings"));
  if (!any) return {};
  ASSIGN_OR_RETURN(const auto rows,
                   connection.query("SELECT book, now, was FROM whimbrel.spellings"));
  for (const Cells& row : rows) sessions.book(*row[0])->put(*row[1], *row[2]);
  return {};
}

Result<NewSpellings> write_spellings(Connection& connection, Sessions& sessions) {
  NewSpellings written;
  for (const auto& [name, book] : sessions.books()) {
    Spellings::Entries entries = book->unkept();
    if (entries.empty()) continue;
    Cells now;
    Cells was;
    for (const auto& [is, before] : entries) {
      now.emplace_back(is);
      was.emplace_back(before);
    }
    TRY(
        connection.run("INSERT INTO whimbrel.spellings (book, now, was) SELECT $1, now, was FROM "
                       "unnest($2::text[], $3::text[]) g(now, was) ON CONFLICT (book, now) DO "
                       "UPDATE SET was = excluded.was",
                       {name, array_of(now), array_of(was)}));
    written.emplace(name, std::move(entries));
  }
  return written;
}

void spellings_are_kept(Sessions& sessions, const NewSpellings& written) {
  for (const auto& [name, entries] : written) sessions.book(name)->kept(entries);
}

Status forget_spellings(Connection& connection, const std::string& book) {
  ASSIGN_OR_RETURN(const bool any, has_own(connection, "spellings"));
  if (!any) return {};
  const auto gone = connection.run("DELETE FROM whimbrel.spellings WHERE book = $1", {book});
  return gone.ok() ? Status() : Status(gone.error());
}

}  // namespace whimbrel::postgresql
