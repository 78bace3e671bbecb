#include "cutover/switches.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/held_clock_test.h"
#include "cutover/switch.h"

namespace whimbrel {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class InAFolder : public testing::Test {
 protected:
  InAFolder()
      : folder_(fs::temp_directory_path() / ("whimbrel-switches-" + std::to_string(getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~InAFolder() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream in(path(name), std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  fs::path folder_;
};

using EnvFileSwitches = InAFolder;
using FileSwitches = InAFolder;

TEST_F(EnvFileSwitches, GoThereAndBack) {
  const std::string before = "# tables\nOLD_TABLE=\"one\"\nPORT=80\n";
  write("app.env", before);
  fs::permissions(path("app.env"), fs::perms(0640));
  const EnvFileSwitch plan{path("app.env"), "app.env", {{{"NEW_TABLE", "two"}}, {"OLD_TABLE"}}};
  const auto one = make_env_file_switch(plan);
  EXPECT_EQ(one->state().value(), SwitchState::off);
  const std::string found = one->found().value();
  ASSERT_TRUE(one->flip().ok());
  ASSERT_TRUE(one->flip().ok());
  EXPECT_EQ(read("app.env"), "# tables\nPORT=80\nNEW_TABLE=two\n");
  EXPECT_EQ(one->state().value(), SwitchState::on);
  write("app.env", read("app.env") + "MORE=1\n");
  ASSERT_TRUE(one->put_back(found).ok());
  ASSERT_TRUE(one->put_back(found).ok());
  EXPECT_EQ(read("app.env"), before + "MORE=1\n");
  EXPECT_EQ(one->state().value(), SwitchState::off);
  struct stat about = {};
  ASSERT_EQ(stat(path("app.env").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0640U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);  // nothing is left beside it
}

TEST_F(EnvFileSwitches, TellNoValues) {
  const EnvFileSwitch plan{path("a"), "a", {{{"KEY", "secret"}}, {"OLD"}}};
  EXPECT_EQ(make_env_file_switch(plan)->describe(), "the file a: set KEY; unset OLD");
}

TEST_F(EnvFileSwitches, AreRefusedWithoutAFileAndKeepALink) {
  const EnvFileSwitch plan{path("link.env"), "link.env", {{{"A", "2"}}, {}}};
  const auto one = make_env_file_switch(plan);
  EXPECT_EQ(one->found().error().code, ErrorCode::refused);
  EXPECT_EQ(one->flip().error().code, ErrorCode::refused);
  EXPECT_TRUE(one->put_back("{\"lines\":[]}").ok());
  write("real.env", "A=1\n");
  fs::create_symlink("real.env", path("link.env"));
  ASSERT_TRUE(one->flip().ok());
  EXPECT_TRUE(fs::is_symlink(path("link.env")));
  EXPECT_EQ(read("real.env"), "A=2\n");
}

TEST_F(FileSwitches, MakeAFileAndTakeItAway) {
  const FileSwitch plan{path("flag"), "flag", "on\n"};
  const auto one = make_file_switch(plan);
  const std::string found = one->found().value();
  ASSERT_TRUE(one->flip().ok());
  EXPECT_EQ(one->state().value(), SwitchState::on);
  EXPECT_EQ(read("flag"), "on\n");
  ASSERT_TRUE(one->put_back(found).ok());
  EXPECT_FALSE(fs::exists(path("flag")));
  EXPECT_EQ(one->state().value(), SwitchState::off);
}

TEST_F(FileSwitches, PutBackWhatWasThere) {
  write("flag", std::string("\0\xff old", 6));
  const FileSwitch plan{path("flag"), "flag", ""};
  const auto one = make_file_switch(plan);
  const std::string found = one->found().value();
  ASSERT_TRUE(one->flip().ok());
  EXPECT_EQ(read("flag"), "");
  ASSERT_TRUE(one->put_back(found).ok());
  EXPECT_EQ(read("flag"), std::string("\0\xff old", 6));
}

// Lambda as far as configurations go.
class Functions final : public AwsService {
 public:
  struct Function {
    std::map<std::string, std::string> variables = {};
    int revision = 1;
    int updating = 0;         // looks until an update is done
    std::string broken = {};  // why the variables cannot be read
  };
  enum class Next { carry_out, conflict, lose_reply, lose_request, refuse, cannot_tell };

  Result<aws::Reply> send(const aws::Call& call) override {
    calls.push_back(call.method);
    const std::string name = call.path.substr(22, call.path.find('/', 22) - 22);
    if (!functions.contains(name)) return error(404, "ResourceNotFoundException", "");
    Function& function = functions[name];
    const Next next =
        script.empty() || (call.method == "GET" && script.front() != Next::cannot_tell)
            ? Next::carry_out
            : script.front();
    if (next != Next::carry_out || call.method == "PUT") {
      if (!script.empty()) script.pop_front();
    }
    switch (next) {
      case Next::cannot_tell:
        return Error{ErrorCode::unavailable, "nobody answers"};
      case Next::conflict:
        return error(409, "ResourceConflictException", "an update is in progress");
      case Next::refuse:
        return error(400, "InvalidParameterValueException",
                     "too large. String measured: " + call.body);
      case Next::lose_request:
        return Error{ErrorCode::outcome_unknown, "no answer came"};
      case Next::lose_reply:
      case Next::carry_out:
        break;
    }
    if (call.method == "GET") return look(function);
    const json body = json::parse(call.body);
    if (body.value("RevisionId", "") != std::to_string(function.revision)) {
      return error(412, "PreconditionFailedException", "another revision");
    }
    function.variables = body["Environment"]["Variables"].get<std::map<std::string, std::string>>();
    ++function.revision;
    function.updating = 2;
    if (next == Next::lose_reply) return Error{ErrorCode::outcome_unknown, "no answer came"};
    return aws::Reply{200, "{}", "", "", {}, {}};
  }
  Error to_error(const aws::Reply& reply, const std::string& operation) const override {
    const ErrorCode code = reply.status == 404   ? ErrorCode::not_found
                           : reply.status == 409 ? ErrorCode::conflict
                                                 : ErrorCode::refused;
    return Error{code, operation + ": " + reply.error + ": " + reply.message};
  }

  static std::map<std::string, Function> functions;
  static std::deque<Next> script;  // of the updates to come
  static std::vector<std::string> calls;

 private:
  static aws::Reply error(int status, const std::string& type, const std::string& message) {
    return {status, "", type, message, {}, {}};
  }
  static aws::Reply look(Function& function) {
    json body = {{"RevisionId", std::to_string(function.revision)},
                 {"LastUpdateStatus", function.updating > 0 ? "InProgress" : "Successful"},
                 {"LastUpdateStatusReason", nullptr}};
    if (function.updating > 0) --function.updating;
    if (!function.variables.empty()) body["Environment"]["Variables"] = function.variables;
    if (!function.broken.empty()) body["Environment"] = {{"Error", {{"Message", function.broken}}}};
    return {200, body.dump(), "", "", {}, {}};
  }
};
std::map<std::string, Functions::Function> Functions::functions;
std::deque<Functions::Next> Functions::script;
std::vector<std::string> Functions::calls;

class LambdaSwitches : public testing::Test {
 protected:
  using Next = Functions::Next;
  using Variables = std::map<std::string, std::string>;
  LambdaSwitches() : one_(make_lambda_switch(plan_, std::make_unique<Functions>(), clock_)) {
    Functions::functions = {{"f", {{{"OLD", "a"}, {"KEEP", "secret-k"}}}}, {"g", {{{"NEW", "x"}}}}};
    Functions::script.clear();
    Functions::calls.clear();
  }
  const Variables& variables(const char* name) const {
    return Functions::functions[name].variables;
  }

  LambdaSwitch plan_{{"f", "g"}, {{{"NEW", "b"}}, {"OLD"}}};
  HeldClock clock_;
  std::unique_ptr<Switch> one_;
};

TEST_F(LambdaSwitches, MergeWithWhatIsThereAndGoBack) {
  EXPECT_EQ(one_->state().value(), SwitchState::off);
  const std::string found = one_->found().value();
  EXPECT_FALSE(has(found, "secret-k"));
  ASSERT_TRUE(one_->flip().ok());
  EXPECT_EQ(variables("f"), (Variables{{"NEW", "b"}, {"KEEP", "secret-k"}}));
  EXPECT_EQ(variables("g"), (Variables{{"NEW", "b"}}));
  EXPECT_EQ(Functions::functions["f"].updating, 0);  // the update was waited for
  EXPECT_EQ(one_->state().value(), SwitchState::on);
  ASSERT_TRUE(one_->put_back(found).ok());
  EXPECT_EQ(variables("f"), (Variables{{"OLD", "a"}, {"KEEP", "secret-k"}}));
  EXPECT_EQ(variables("g"), (Variables{{"NEW", "x"}}));
  EXPECT_EQ(one_->describe(), "variables of f, g: set NEW; unset OLD");
}

TEST_F(LambdaSwitches, UpdateNothingThatIsAsItShouldBe) {
  Functions::functions = {{"f", {{{"NEW", "b"}}}}, {"g", {{{"NEW", "b"}}}}};
  ASSERT_TRUE(one_->flip().ok());
  EXPECT_EQ(Functions::calls, (std::vector<std::string>{"GET", "GET"}));
}

TEST_F(LambdaSwitches, TryAgainAfterAConflict) {
  Functions::script = {Next::conflict, Next::conflict};
  ASSERT_TRUE(one_->flip().ok());
  EXPECT_EQ(one_->state().value(), SwitchState::on);
}

TEST_F(LambdaSwitches, LookAfterALostReply) {
  Functions::script = {Next::lose_reply};
  ASSERT_TRUE(one_->flip().ok());
  EXPECT_EQ(one_->state().value(), SwitchState::on);
  EXPECT_EQ(Functions::functions["f"].revision, 2);  // once
  Functions::functions["f"].variables = {{"OLD", "a"}};
  Functions::script = {Next::lose_request};
  ASSERT_TRUE(one_->flip().ok());
  EXPECT_EQ(one_->state().value(), SwitchState::on);
}

TEST_F(LambdaSwitches, AreUnknownWhenTheReplyIsLostAndNobodyTells) {
  Functions::script = {Next::lose_reply, Next::cannot_tell};
  EXPECT_EQ(one_->flip().error().code, ErrorCode::outcome_unknown);
}

TEST_F(LambdaSwitches, ARefusalTellsNoValuesAndThatNothingHasHappened) {
  Functions::script = {Next::refuse};
  const Status flipped = one_->flip();
  ASSERT_FALSE(flipped.ok());
  EXPECT_EQ(flipped.error().code, ErrorCode::refused);
  EXPECT_FALSE(has(to_text(flipped.error()), "secret-k")) << to_text(flipped.error());
  EXPECT_TRUE(has(to_text(flipped.error()), "too large")) << to_text(flipped.error());
}

TEST_F(LambdaSwitches, ARefusalAfterTheFirstFunctionIsNone) {
  Functions::script = {Next::carry_out, Next::refuse};
  const Status flipped = one_->flip();
  ASSERT_FALSE(flipped.ok());
  EXPECT_EQ(flipped.error().code, ErrorCode::conflict);
  EXPECT_EQ(one_->state().value(), SwitchState::off);
  ASSERT_TRUE(one_->flip().ok());
}

TEST_F(LambdaSwitches, VariablesThatCannotBeReadAreNotOverwritten) {
  Functions::functions["f"].broken = "access to the key is denied";
  EXPECT_EQ(one_->found().error().code, ErrorCode::refused);
  EXPECT_EQ(one_->flip().error().code, ErrorCode::unavailable);
  EXPECT_EQ(variables("f").size(), 2U);
}

TEST_F(LambdaSwitches, AFunctionThatIsGoneHoldsNothingUp) {
  const std::string found = one_->found().value();
  ASSERT_TRUE(one_->flip().ok());
  Functions::functions.erase("f");
  ASSERT_TRUE(one_->put_back(found).ok());
  EXPECT_EQ(variables("g"), (Variables{{"NEW", "x"}}));
}

// Parameters with all their versions.
class Parameters final : public AwsService {
 public:
  Result<aws::Reply> send(const aws::Call& call) override {
    const json body = json::parse(call.body);
    std::string name = body["Name"];
    if (call.operation == "PutParameter") {
      versions[name].push_back(body["Value"]);
      return aws::Reply{200, "{}", "", "", {}, {}};
    }
    std::size_t version = versions[name.substr(0, name.find(':'))].size();
    if (const std::size_t colon = name.find(':'); colon != std::string::npos) {
      version = std::stoul(name.substr(colon + 1));
      name.resize(colon);
    }
    if (version == 0) return aws::Reply{400, "", "ParameterNotFound", "", {}, {}};
    const json parameter = {{"Value", versions[name].at(version - 1)}, {"Version", version}};
    return aws::Reply{200, json{{"Parameter", parameter}}.dump(), "", "", {}, {}};
  }
  Error to_error(const aws::Reply& reply, const std::string& operation) const override {
    return Error{ErrorCode::not_found, operation + ": " + reply.error};
  }
  static std::map<std::string, std::vector<std::string>> versions;
};
std::map<std::string, std::vector<std::string>> Parameters::versions;

TEST(ParameterSwitches, KeepTheVersionAndNotTheValue) {
  Parameters::versions = {{"/app/table", {"first", "old"}}};
  const ParameterSwitch plan{"/app/table", "new"};
  const auto one = make_parameter_switch(plan, std::make_unique<Parameters>());
  const std::string found = one->found().value();
  EXPECT_EQ(found, "{\"version\":2}");
  ASSERT_TRUE(one->flip().ok());
  ASSERT_TRUE(one->flip().ok());
  EXPECT_EQ(one->state().value(), SwitchState::on);
  ASSERT_TRUE(one->put_back(found).ok());
  EXPECT_EQ(Parameters::versions["/app/table"],
            (std::vector<std::string>{"first", "old", "new", "old"}));
  const ParameterSwitch missing{"/none", "x"};
  EXPECT_EQ(make_parameter_switch(missing, std::make_unique<Parameters>())->found().error().code,
            ErrorCode::not_found);
}

TEST_F(InAFolder, ACommandEndsWithItselfNotWithWhatItLeavesRunning) {
  const auto began = std::chrono::steady_clock::now();
  const auto ran =
      run_command({"sh", "-c", "sleep 20 & echo deployed"}, folder_, Milliseconds{15'000});
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(ran.value().exit_code, 0);
  EXPECT_EQ(ran.value().output, "deployed\n");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
}

TEST_F(InAFolder, ACommandThatTakesTooLongEndsWithAllThatItStarted) {
  const auto ran =
      run_command({"sh", "-c", "(sleep 1; touch late) & sleep 20"}, folder_, Milliseconds{300});
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code, ErrorCode::outcome_unknown);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_FALSE(fs::exists(path("late")));
}

TEST_F(InAFolder, ACommandsOutputAndExitCodeAreItsOwn) {
  const auto failed = run_command({"sh", "-c", "echo no >&2; exit 7"}, folder_, Milliseconds{9000});
  ASSERT_TRUE(failed.ok());
  EXPECT_EQ(failed.value().exit_code, 7);
  EXPECT_EQ(failed.value().output, "no\n");
  const auto ended = run_command({"sh", "-c", "kill -9 $$"}, folder_, Milliseconds{9000});
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended.value().exit_code, 128 + 9);
  const auto much =
      run_command({"sh", "-c", "yes | head -c 300000; echo end"}, folder_, Milliseconds{9000});
  ASSERT_TRUE(much.ok());
  EXPECT_TRUE(much.value().output.ends_with("y\nend\n"));
  EXPECT_LE(much.value().output.size(), 8000U);
  const auto nothing = run_command({"there-is-no-such-program"}, folder_, Milliseconds{9000});
  ASSERT_FALSE(nothing.ok());
  EXPECT_EQ(nothing.error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace whimbrel
