// A SELECT in PartiQL, as far as it decides whether the service reads a table whole.
//
// It queries where the condition names the partition key with `=` or IN, in each branch of an OR,
// and scans otherwise: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/
// ql-reference.select.html
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace whimbrel::dynamodb {

class Selection {
 public:
  explicit Selection(std::string_view statement);
  const std::string& table() const { return table_; }
  const std::string& index() const { return index_; }  // "": the table itself
  // Whether the condition narrows it to values of this attribute.
  bool finds_by(std::string_view attribute) const;

 private:
  struct Token {
    std::string text;
    bool quoted = false;  // a name in quotes, or a text
  };
  class Reader;
  bool is_keyword(std::size_t at, std::string_view word) const;

  std::vector<Token> tokens_;
  std::size_t condition_ = 0;  // where it begins; at the end where there is none
  std::string table_;
  std::string index_;
};

}  // namespace whimbrel::dynamodb
