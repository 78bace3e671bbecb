// Rows that wait for the rest of their group, in a temporary file, read in the order of the groups.
//
// Threads: one. Errors: those of the file.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "store/kept_file.h"
#include "value/value.h"

namespace whimbrel {

class GroupSpool {
 public:
  static Result<std::unique_ptr<GroupSpool>> open();

  Status add(const Row& group, const Row& row);
  // The rows of the first group after this one, in the order of the groups' bytes; none at the end.
  struct Group {
    Row key;
    std::vector<Row> rows;
  };
  Result<std::optional<Group>> group_after(const std::optional<Row>& after);

 private:
  GroupSpool(std::unique_ptr<KeptFile> file, KeptFile::Statement add)
      : file_(std::move(file)), add_(std::move(add)) {}
  std::unique_ptr<KeptFile> file_;
  KeptFile::Statement add_;  // goes before its file
};

}  // namespace whimbrel
