#include "stores/postgresql/connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <initializer_list>

#include "base/text.h"
#include "value/value.h"

namespace whimbrel::postgresql {

namespace {

constexpr std::size_t idle_max = 8;
constexpr std::chrono::seconds answer_max{10};

// What libpq says, in one line and without the word before it.
std::string one_line(const char* message) {
  std::string text = message == nullptr ? "" : message;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (char& c : text) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  for (const std::string_view word : {"ERROR:  ", "FATAL:  "}) {
    text = with_replaced(std::move(text), word, "");
  }
  return text;
}

ErrorCode code_of(const std::string& sqlstate) {
  const std::string_view state_class = std::string_view(sqlstate).substr(0, 2);
  // No reply, no room, a lock of somebody else, a deadlock, a server that goes or comes.
  if (sqlstate.empty() || state_class == "08" || state_class == "53" || state_class == "40" ||
      state_class == "57" || state_class == "58" || sqlstate == "55P03" || sqlstate == "25P03") {
    return ErrorCode::unavailable;
  }
  if (sqlstate == "42P01" || sqlstate == "3F000") return ErrorCode::not_found;
  return ErrorCode::refused;
}

std::string hint_of(const std::string& sqlstate) {
  if (sqlstate == "55P03") return "a transaction of somebody else holds it: `pg_locks` says which";
  if (sqlstate == "57014")
    return "raise `statement_timeout` of the store, or try at a quieter time";
  if (sqlstate == "42501") {
    return "this role needs the right to do so; where policies hide rows from it, it needs "
           "BYPASSRLS, or the table NO FORCE ROW LEVEL SECURITY";
  }
  if (sqlstate == "25006") {
    return "give the address of the primary, and a role without `default_transaction_read_only`";
  }
  if (sqlstate.starts_with("53")) return "make room on the server, then run again";
  if (sqlstate.starts_with("28")) return "look at the user, the password and pg_hba.conf";
  return "";
}

std::vector<const char*> bound(const Cells& parameters) {
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const Cell& cell : parameters) values.push_back(cell ? cell->c_str() : nullptr);
  return values;
}

bool is_answer(const PGresult* answer) {
  const ExecStatusType status = PQresultStatus(answer);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

std::vector<Cells> cells_of_rows(const PGresult* answer) {
  const int columns = PQnfields(answer);
  std::vector<Cells> rows(static_cast<std::size_t>(PQntuples(answer)));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const int row = static_cast<int>(i);
    for (int j = 0; j < columns; ++j) {
      rows[i].push_back(
          PQgetisnull(answer, row, j) != 0
              ? Cell()
              : Cell(std::string(PQgetvalue(answer, row, j),
                                 static_cast<std::size_t>(PQgetlength(answer, row, j)))));
    }
  }
  return rows;
}

bool says_one_of(std::string_view said, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](auto word) { return said.find(word) != said.npos; });
}

// Before anything is asked. What libpq says of a URL that it cannot read, or of a host that is half
// a password, holds parts of the password.
Status check_url(const std::string& url) {
  char* said = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeWith<PQconninfoFree>> read(
      PQconninfoParse(url.c_str(), &said));
  const std::unique_ptr<char, FreeWith<PQfreemem>> message(said);
  std::string what = read == nullptr ? one_line(said) : "";
  what = what.substr(0, what.find_first_of(":\""));
  for (const PQconninfoOption* one = read.get(); one != nullptr && one->keyword != nullptr; ++one) {
    const std::string_view value = one->val == nullptr ? "" : one->val;
    const bool is_number = value.find_first_not_of("0123456789,") == value.npos;
    if (one->keyword == std::string_view("port") && !is_number) what = "its port is no number";
  }
  // What it takes for the end of a user and a password, and for the end of the host and the rest.
  const std::size_t begin = url.find("://") + 3;
  const std::size_t user_end = url.find_first_of("@/", begin);
  const bool has_user = user_end != std::string::npos && url[user_end] == '@';
  const std::size_t place = has_user ? user_end + 1 : begin;
  const std::string_view rest = std::string_view(url).substr(place, url.find('?', place) - place);
  if (rest.find('@') != rest.npos) what = "an `@` stands where none may";
  if (what.empty()) return {};
  return Error{ErrorCode::refused, "the URL of the PostgreSQL server cannot be read: " + what,
               "write special characters of a user and a password as their codes: %40 for `@`, %2F "
               "for `/`, %3A for `:`, %25 for `%`"};
}

std::string hint_of_refusal(const std::string& said, bool is_of_tls) {
  if (is_of_tls) {
    return "look at `sslmode`, `sslrootcert`, `sslcert` and `sslkey` of the URL, and at the "
           "server's certificate";
  }
  if (says_one_of(said, {"too many c", "connection slots", "max_client_conn"})) {
    return "run again when others have gone, or let more of them in: `max_connections` of the "
           "server, CONNECTION LIMIT of the role, `max_client_conn` of a pooler";
  }
  return "try the same URL with psql";
}

Error no_connection(const std::string& said) {
  // A server that goes while we come in says nothing of certificates.
  const bool is_of_tls =
      says_one_of(said, {"certificate", "private key", "SSL error: ", "not support SSL"}) &&
      said.find("unexpected eof") == std::string::npos;
  const bool lets_nobody_in =
      is_of_tls || says_one_of(said, {"password", "authentication", "pg_hba.conf", "does not exist",
                                      "invalid ", "definition of service"});
  return Error{lets_nobody_in ? ErrorCode::refused : ErrorCode::unavailable,
               (lets_nobody_in ? "the PostgreSQL server does not let us in: "
                               : "the PostgreSQL server does not answer: ") +
                   said,
               hint_of_refusal(said, is_of_tls)}
      .of_caller();
}

// Waits for what was asked; false when nothing has come in time.
bool answer_has_come(PGconn* connection, std::chrono::seconds at_most) {
  const auto until = std::chrono::steady_clock::now() + at_most;
  while (PQisBusy(connection) != 0) {
    const auto left =
        std::chrono::duration_cast<Milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd socket{PQsocket(connection), POLLIN, 0};
    (void)poll(&socket, 1, static_cast<int>(left.count()));
    if (PQconsumeInput(connection) == 0) break;  // the answer is an error
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::greet(const Settings& settings,
                                                      std::string& sqlstate) {
  TRY(check_url(settings.url));
  std::unique_ptr<Connection> made(new Connection());
  // A parameter that comes later in an expanded `dbname` wins, so what a URL says of these stays.
  const std::string patience = std::to_string(answer_max.count());
  const char* const keywords[] = {"fallback_application_name", "connect_timeout", "client_encoding",
                                  "dbname", nullptr};
  const char* const values[] = {"whimbrel", patience.c_str(), "UTF8", settings.url.c_str(),
                                nullptr};
  made->connection_.reset(PQconnectdbParams(keywords, values, 1));
  // What it sends besides its answers would go to stderr, between our own lines.
  PQsetNoticeProcessor(made->raw(), [](void*, const char*) {}, nullptr);
  if (PQstatus(made->raw()) != CONNECTION_OK) {
    return no_connection(one_line(PQerrorMessage(made->raw())));
  }
  const Status heard = made->hear_who_answers();
  sqlstate = made->sqlstate();
  TRY(heard);
  return made;
}

// A pooler lets us in before it has a session of the server for us, which may never come.
Status Connection::hear_who_answers() {
  // The search path is the role's own yet.
  const std::string sql =
      "SELECT pg_catalog.current_setting('search_path'), pg_catalog.pg_backend_pid()";
  const bool is_asked = PQsendQuery(raw(), sql.c_str()) != 0;
  if (is_asked && !answer_has_come(raw(), answer_max)) {
    return Error{
        ErrorCode::unavailable,
        fmt::format("{} let us in, and has not answered for {} s", place(), answer_max.count()),
        "a pooler in between may have no session left: give its pool more of them "
        "(`default_pool_size`), or the server's own address"};
  }
  const Answer answer(PQgetResult(raw()));
  if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) return error(answer.get(), sql);
  while (Answer(PQgetResult(raw())) != nullptr) {
  }
  search_path_ = PQgetvalue(answer.get(), 0, 0);
  process_ = PQgetvalue(answer.get(), 0, 1);
  return {};
}

// A server tells its process as it lets us in, a pooler something else. Where a pooler gives
// sessions to transactions, the next one gets the session that was given back last, which another
// connection has had, or the one that has waited longest, which is another one than just before.
Status Connection::keeps_its_session(const Settings& settings) {
  if (process_ == std::to_string(PQbackendPID(raw()))) return {};
  constexpr int rounds = 5;
  std::string sqlstate;
  ASSIGN_OR_RETURN(const auto other, greet(settings, sqlstate));
  bool changes = other->process_ == process_;
  for (int round = 0; round < rounds && !changes; ++round) {
    for (Connection* one : {this, this, other.get()}) {
      ASSIGN_OR_RETURN(const auto now, one->query("SELECT pg_catalog.pg_backend_pid()"));
      changes = changes || now.at(0).at(0) != one->process_;
    }
  }
  if (!changes) return {};
  return Error{ErrorCode::refused,
               place() + " is a pooler that gives each transaction another session",
               "give the server's own address, or a pool with `pool_mode = session`: what whimbrel "
               "sets in its session would become the application's"};
}

Status Connection::settle(const Settings& settings) {
  return execute(fmt::format(
      "SET search_path = pg_catalog; SET client_encoding = 'UTF8'; SET DateStyle = 'ISO, MDY'; "
      "SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; "
      "SET bytea_output = 'hex'; SET xmloption = 'content'; SET lc_monetary = 'C'; "
      "SET array_nulls = on; SET quote_all_identifiers = off; SET transform_null_equals = off; "
      "SET client_min_messages = 'warning'; SET standard_conforming_strings = on; "
      "SET row_security = off; SET default_transaction_isolation = 'read committed'; "
      "SET default_transaction_deferrable = off; SET idle_session_timeout = 0; "
      "SET idle_in_transaction_session_timeout = 0; SET lock_timeout = {}; "
      "SET statement_timeout = {}; "
      // What we note as done has to outlive the server.
      "SELECT set_config('synchronous_commit', 'on', false) WHERE "
      "current_setting('synchronous_commit') = 'off'; "
      // From PostgreSQL 17.
      "SELECT set_config('transaction_timeout', '0', false) WHERE "
      "current_setting('transaction_timeout', true) <> '0'",
      settings.lock_timeout.count(), settings.statement_timeout.count()));
}

// A role may have been given less time than a busy machine takes to say that it has none to keep.
Result<std::unique_ptr<Connection>> Connection::settled(const Settings& settings, bool is_first) {
  constexpr int attempts_max = 5;
  for (int attempt = 1;; ++attempt) {
    std::string sqlstate;
    auto made = greet(settings, sqlstate);
    Status done = made.ok() ? Status() : Status(made.error());
    if (done.ok() && is_first) done = made.value()->keeps_its_session(settings);
    if (done.ok()) done = made.value()->settle(settings);
    if (done.ok()) return made;
    if (made.ok()) sqlstate = made.value()->sqlstate();
    const bool is_a_limit = sqlstate == "57P05" || sqlstate == "57014" || sqlstate == "25P04";
    if (!is_a_limit || attempt == attempts_max) return std::move(done).error();
  }
}

Result<std::unique_ptr<Connection>> Connection::open(const Settings& settings) {
  return settled(settings, false);
}

Result<std::unique_ptr<Connection>> Connection::open_first(const Settings& settings) {
  return settled(settings, true);
}

Error Connection::error(const PGresult* answer, const std::string& sql) {
  const char* state = answer == nullptr ? nullptr : PQresultErrorField(answer, PG_DIAG_SQLSTATE);
  sqlstate_ = state == nullptr ? "" : state;
  const char* primary =
      answer == nullptr ? nullptr : PQresultErrorField(answer, PG_DIAG_MESSAGE_PRIMARY);
  Error error{code_of(sqlstate_),
              one_line(primary != nullptr ? primary : PQerrorMessage(connection_.get()))};
  const char* detail =
      answer == nullptr ? nullptr : PQresultErrorField(answer, PG_DIAG_MESSAGE_DETAIL);
  // A detail may hold values of rows, which not everybody is to see.
  if (detail != nullptr && !error.message.empty() && sqlstate_.starts_with("2B")) {
    error.message += ": " + one_line(detail);
  }
  if (refuses_a_value() && what_is_shown_is_redacted()) {
    error.message = fmt::format("the server refuses a value (SQLSTATE {})", sqlstate_);
  }
  if (error.message.empty()) error.message = "the connection to the server was lost";
  error.hint = hint_of(sqlstate_);
  error.is_of_caller = sqlstate_ == "42501" || sqlstate_ == "25006" || sqlstate_.starts_with("28");
  return std::move(error).within("running " + printable(sql, 200));
}

Status Connection::execute(const std::string& sql) {
  const Answer answer(PQexec(raw(), sql.c_str()));
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY) {
    return {};
  }
  return error(answer.get(), sql);
}

Result<Answer> Connection::ask(const std::string& sql, const Cells& parameters) {
  const std::vector<const char*> values = bound(parameters);
  Answer answer(PQexecParams(raw(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                             values.data(), nullptr, nullptr, 0));
  if (is_answer(answer.get())) return answer;
  return error(answer.get(), sql);
}

Status Connection::understands(const std::string& sql) {
  const Answer prepared(PQprepare(raw(), "", sql.c_str(), 0, nullptr));
  if (PQresultStatus(prepared.get()) == PGRES_COMMAND_OK) return {};
  const char* said = PQresultErrorField(prepared.get(), PG_DIAG_MESSAGE_PRIMARY);
  return Error{ErrorCode::refused, said == nullptr ? "the connection was lost" : said};
}

Result<std::vector<Cells>> Connection::query(const std::string& sql, const Cells& parameters) {
  ASSIGN_OR_RETURN(const Answer answer, ask(sql, parameters));
  return cells_of_rows(answer.get());
}

Status Connection::send(const std::string& sql, const Cells& parameters) {
  const std::vector<const char*> values = bound(parameters);
  sent_ = sql;
  const int sent = PQsendQueryParams(raw(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                                     values.data(), nullptr, nullptr, 0);
  return sent == 1 ? Status() : Status(error(nullptr, sql));
}

Result<std::vector<Cells>> Connection::receive() {
  Result<std::vector<Cells>> rows = Error{ErrorCode::internal, "nothing was asked"};
  while (const Answer answer{PQgetResult(raw())}) {
    rows = is_answer(answer.get()) ? Result<std::vector<Cells>>(cells_of_rows(answer.get()))
                                   : Result<std::vector<Cells>>(error(answer.get(), sent_));
  }
  return rows;
}

Result<std::int64_t> Connection::run(const std::string& sql, const Cells& parameters) {
  ASSIGN_OR_RETURN(const Answer answer, ask(sql, parameters));
  const std::string affected = PQcmdTuples(answer.get());
  return affected.empty() ? std::int64_t{0} : std::int64_t{std::stoll(affected)};
}

Status Connection::patience(Milliseconds statement_timeout, Milliseconds lock_timeout) {
  return execute(fmt::format("SET statement_timeout = {}; SET lock_timeout = {}",
                             statement_timeout.count(), lock_timeout.count()));
}

bool Connection::is_idle() const {
  return PQstatus(raw()) == CONNECTION_OK && PQtransactionStatus(raw()) == PQTRANS_IDLE;
}

std::string Connection::place() const {
  const char* host = PQhost(raw());
  return fmt::format("{}:{}/{}", host == nullptr || *host == 0 ? "local" : host, PQport(raw()),
                     PQdb(raw()));
}

Result<ConnectionPtr> Sessions::take() {
  constexpr std::chrono::seconds trusted_for{1};
  const std::shared_ptr<Sessions> self = shared_from_this();
  while (true) {
    Idle one;
    {
      const std::lock_guard lock(mutex_);
      if (idle_.empty()) break;
      one = std::move(idle_.back());
      idle_.pop_back();
    }
    // A server that was started anew, or has ended the session, is noticed here, and not by whoever
    // wants to work.
    pollfd said{PQsocket(one.connection->raw()), POLLIN, 0};
    const bool is_fresh =
        std::chrono::steady_clock::now() - one.since < trusted_for && poll(&said, 1, 0) == 0;
    if (one.connection->is_idle() && (is_fresh || one.connection->execute("").ok())) {
      return ConnectionPtr(one.connection.release(), GiveBack{self});
    }
  }
  ASSIGN_OR_RETURN(auto made, open());
  return ConnectionPtr(made.release(), GiveBack{self});
}

Result<ConnectionPtr> Sessions::take_first() {
  ASSIGN_OR_RETURN(auto made, Connection::open_first(settings_));
  return ConnectionPtr(made.release(), GiveBack{shared_from_this()});
}

bool Sessions::may_write_as_replica() {
  {
    const std::lock_guard lock(mutex_);
    if (may_write_as_replica_) return *may_write_as_replica_;
  }
  const auto connection = open();
  if (!connection.ok()) return false;  // and asked again
  const bool may =
      connection.value()->execute("BEGIN; SET LOCAL session_replication_role = replica").ok();
  (void)connection.value()->execute("ROLLBACK").ok();
  const std::lock_guard lock(mutex_);
  may_write_as_replica_ = may;
  return may;
}

void Sessions::give_back(std::unique_ptr<Connection> connection) {
  if (!connection->is_idle()) return;
  const std::lock_guard lock(mutex_);
  if (idle_.size() < idle_max) {
    idle_.push_back({std::move(connection), std::chrono::steady_clock::now()});
  }
}

std::string Sessions::encoding() {
  const auto connection = take();
  if (!connection.ok()) return "";
  const char* said = PQparameterStatus(connection.value()->raw(), "server_encoding");
  return said == nullptr ? "" : said;
}

std::shared_ptr<Spellings> Sessions::book(const std::string& name) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Spellings>& book = books_[name];
  if (book == nullptr) book = std::make_shared<Spellings>();
  return book;
}

std::map<std::string, std::shared_ptr<Spellings>> Sessions::books() {
  const std::lock_guard lock(mutex_);
  return books_;
}

void GiveBack::operator()(Connection* connection) const {
  std::unique_ptr<Connection> own(connection);
  if (to != nullptr) to->give_back(std::move(own));
}

Result<Transaction> Transaction::begin(Connection& connection, const std::string& how) {
  TRY(connection.execute(how.empty() ? "BEGIN" : "BEGIN " + how));
  return Transaction(connection);
}

Transaction::~Transaction() {
  if (connection_ != nullptr) (void)connection_->execute("ROLLBACK").ok();
}

Status Transaction::commit() {
  Connection& connection = *connection_;
  connection_ = nullptr;
  return connection.execute("COMMIT");
}

}  // namespace whimbrel::postgresql
