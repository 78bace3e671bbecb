#include "stores/postgresql/dialect.h"

#include "stores/postgresql/names.h"

namespace whimbrel::postgresql {

namespace {

class PostgresqlDialect final : public Dialect {
 public:
  std::string quote(std::string_view identifier) const override { return quote_name(identifier); }
  std::string quote_table(std::string_view table) const override {
    return quoted(split_name(table));
  }
};

}  // namespace

const Dialect& dialect() {
  static const PostgresqlDialect only;
  return only;
}

}  // namespace whimbrel::postgresql
