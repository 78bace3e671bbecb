#include "stores/postgresql/copying.h"

#include "stores/postgresql/types.h"

namespace whimbrel::postgresql {

namespace {
Status begun(Connection& connection, const std::string& sql, ExecStatusType wanted) {
  const Answer answer(PQexec(connection.raw(), sql.c_str()));
  if (PQresultStatus(answer.get()) == wanted) return {};
  return connection.error(answer.get(), sql);
}

// Reads to the end of what the server says of a statement.
Result<std::int64_t> rows_of(Connection& connection, const std::string& sql) {
  Result<std::int64_t> rows = std::int64_t{0};
  while (const Answer answer{PQgetResult(connection.raw())}) {
    if (PQresultStatus(answer.get()) != PGRES_COMMAND_OK) {
      rows = connection.error(answer.get(), sql);
    } else if (rows.ok()) {
      const std::string affected = PQcmdTuples(answer.get());
      if (!affected.empty()) rows = std::int64_t{std::stoll(affected)};
    }
  }
  return rows;
}
// `\N` for null.
void append_cell(std::string& line, const Cell& cell) {
  if (!cell) {
    line += "\\N";
    return;
  }
  for (const char c : *cell) {
    switch (c) {
      case '\\':
        line += "\\\\";
        break;
      case '\n':
        line += "\\n";
        break;
      case '\r':
        line += "\\r";
        break;
      case '\t':
        line += "\\t";
        break;
      default:
        line += c;
    }
  }
}

Status append_copied(std::string& line, const Row& row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    ASSIGN_OR_RETURN(const Cell cell, cell_of(row[i]));
    if (i > 0) line += '\t';
    append_cell(line, cell);
  }
  line += '\n';
  return {};
}
}  // namespace

Result<CopyOut> CopyOut::begin(Connection& connection, const std::string& sql) {
  TRY(begun(connection, sql, PGRES_COPY_OUT));
  return CopyOut(connection, sql);
}

Result<std::optional<std::string_view>> CopyOut::next() {
  char* piece = nullptr;
  const int size = PQgetCopyData(connection_->raw(), &piece, 0);
  piece_.reset(piece);
  if (size > 0) return std::optional(std::string_view(piece, static_cast<std::size_t>(size)));
  const Result<std::int64_t> rows = rows_of(*connection_, sql_);
  if (!rows.ok()) return rows.error();
  return std::optional<std::string_view>();
}

Result<CopyIn> CopyIn::begin(Connection& connection, const std::string& sql) {
  TRY(begun(connection, sql, PGRES_COPY_IN));
  return CopyIn(connection, sql);
}

Status CopyIn::put(std::string_view bytes) {
  if (PQputCopyData(connection_->raw(), bytes.data(), static_cast<int>(bytes.size())) == 1) {
    return {};
  }
  return connection_->error(nullptr, sql_);
}

Result<std::int64_t> CopyIn::end() {
  Connection& connection = *connection_;
  connection_ = nullptr;
  if (PQputCopyEnd(connection.raw(), nullptr) != 1) return connection.error(nullptr, sql_);
  return rows_of(connection, sql_);
}

CopyIn::~CopyIn() {
  if (connection_ == nullptr) return;
  if (PQputCopyEnd(connection_->raw(), "given up") == 1) (void)rows_of(*connection_, sql_).ok();
}

Status copy_in(Connection& connection, const std::string& sql, std::span<const Row> rows) {
  ASSIGN_OR_RETURN(CopyIn in, CopyIn::begin(connection, sql));
  std::string line;
  for (const Row& row : rows) {
    line.clear();
    TRY(append_copied(line, row));
    TRY(in.put(line));
  }
  const Result<std::int64_t> taken = in.end();
  return taken.ok() ? Status() : Status(taken.error());
}

}  // namespace whimbrel::postgresql
