#include "store/group_spool.h"

namespace whimbrel {

Result<std::unique_ptr<GroupSpool>> GroupSpool::open() {
  ASSIGN_OR_RETURN(
      auto file,
      KeptFile::open("",
                     {"make room where temporary files lie, or name another place in TMPDIR", ""},
                     "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                     "CREATE TABLE waiting (of BLOB NOT NULL, row BLOB NOT NULL);"
                     "CREATE INDEX by_group ON waiting (of); BEGIN"));
  ASSIGN_OR_RETURN(auto add, file->prepare("INSERT INTO waiting VALUES (?1, ?2)"));
  return std::unique_ptr<GroupSpool>(new GroupSpool(std::move(file), std::move(add)));
}

Status GroupSpool::add(const Row& group, const Row& row) {
  bind_row(add_, 1, group);
  bind_row(add_, 2, row);
  TRY(file_->step(add_));
  sqlite3_reset(add_.get());
  return {};
}

Result<std::optional<GroupSpool::Group>> GroupSpool::group_after(const std::optional<Row>& after) {
  ASSIGN_OR_RETURN(const auto select,
                   file_->prepare(after ? "SELECT of, row FROM waiting WHERE of = (SELECT min(of) "
                                          "FROM waiting WHERE of > ?1) ORDER BY rowid"
                                        : "SELECT of, row FROM waiting WHERE of = (SELECT min(of) "
                                          "FROM waiting) ORDER BY rowid"));
  if (after) bind_row(select, 1, *after);
  std::optional<Group> group;
  while (true) {
    ASSIGN_OR_RETURN(const bool is_there, file_->step(select));
    if (!is_there) return group;
    if (!group) {
      ASSIGN_OR_RETURN(Row key, row_at(select, 0));
      group = Group{std::move(key), {}};
    }
    ASSIGN_OR_RETURN(Row row, row_at(select, 1));
    group->rows.push_back(std::move(row));
  }
}

}  // namespace whimbrel
