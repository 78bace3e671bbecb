// Copying and comparing between two tables of one file: rows never leave SQLite.
#pragma once

#include <memory>

#include "store/store.h"
#include "stores/sqlite/connection.h"

namespace whimbrel::sqlite {

struct Claim {
  std::string migration;
  std::string journal;
};

Result<std::unique_ptr<InsideCopier>> make_inside(std::unique_ptr<Connection> connection,
                                                  const Mapping& mapping, Claim claim,
                                                  Clock& clock);

}  // namespace whimbrel::sqlite
