// How SQLite spells the transforms.
#pragma once

#include "store/sql_names.h"
#include "transform/spell.h"

namespace whimbrel::sqlite {

class SqliteDialect final : public Spelling {
 public:
  std::string quote(std::string_view identifier) const override;
  std::string type_like(std::string_view declared) const override;
  std::string type_for(Kind kind) const override;
  std::optional<std::string> literal(const Value& value) const override;
  std::string text_of(const std::string& sql) const override;
  std::string change_case(const std::string& sql, TextCase how) const override;
  std::string joined(const std::vector<std::string>& texts) const override;
  std::string is_value(const std::string& sql, const Value& value,
                       const std::string& literal) const override;
  std::string between(const std::string& sql, const std::string& prefix,
                      const std::string& suffix) const override;
  std::string json_extract(const std::string& sql, const std::string& path) const override;
  std::string json_member(const std::string& sql, bool is_json) const override;
  std::optional<std::string> json_constant(const Value& value) const override;
  std::string json_object(
      const std::vector<std::pair<std::string, std::string>>& fields) const override;
  std::string json_array(const std::vector<std::string>& items) const override;
};

const SqliteDialect& dialect();

}  // namespace whimbrel::sqlite
