// Copying and comparing between two tables of one file, or from a file that is attached: rows never
// leave SQLite.
#pragma once

#include <memory>

#include "store/store.h"
#include "stores/sqlite/connection.h"

namespace whimbrel::sqlite {

struct Claim {
  std::string migration;
  std::string journal;
};

// `connection` has the target; `source_file` is "" where it has the source as well.
Result<std::unique_ptr<InsideCopier>> make_inside(ConnectionPtr connection,
                                                  const std::string& source_file,
                                                  const Mapping& mapping, Claim claim,
                                                  Clock& clock);

}  // namespace whimbrel::sqlite
