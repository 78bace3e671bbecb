#include "aws/credentials.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "aws/words.h"
#include "aws/xml.h"
#include "base/handle.h"
#include "base/text.h"

namespace whimbrel::aws {

namespace {

constexpr Milliseconds refresh_before{300'000};
constexpr Milliseconds ask_again_after{60'000};  // while the last ones still live

using Found = std::optional<Credentials>;

std::string word_of(const Section& section, const std::string& key) {
  const auto it = section.find(key);
  return it == section.end() ? "" : it->second;
}

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string stripped(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  return text;
}

// "2026-11-20T20:15:03Z", with or without a fraction or an offset; without a zone, or with a word
// for one, it is that of UTC.
std::optional<TimePoint> parse_time(const std::string& text) {
  if (const auto time = from_iso8601(text)) return time;
  std::tm parts{};
  if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return std::nullopt;
  return TimePoint(Milliseconds(std::int64_t{timegm(&parts)} * 1000));
}

std::string sha1_hex(const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  return to_hex(std::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

// The JSON that container, machine and process give; they differ in the names of two keys.
Result<Credentials> from_json(const std::string& text, const std::string& whence) {
  const nlohmann::json body = nlohmann::json::parse(text, nullptr, false);
  Credentials found{text_of(body, {"AccessKeyId", "accessKeyId"}),
                    text_of(body, {"SecretAccessKey", "secretAccessKey"}),
                    text_of(body, {"SessionToken", "Token", "sessionToken"}), std::nullopt};
  if (found.access_key.empty() || found.secret_key.empty()) {
    return Error{ErrorCode::refused, whence + " gave no credentials",
                 "its answer has no AccessKeyId and SecretAccessKey"};
  }
  found.expires = parse_time(text_of(body, {"Expiration", "expiration"}));
  if (body.contains("expiration") && body["expiration"].is_number_integer()) {
    found.expires = TimePoint(Milliseconds(body["expiration"].get<std::int64_t>()));
  }
  return found;
}

std::string read_all(std::FILE* file) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), file)) {
    text.append(buffer.data(), size);
  }
  return text;
}

// What it printed; where it failed, the last line of what it said to a person. AWS tells whoever
// writes such a process that this is shown and holds no secret.
Result<std::string> output_of(const std::string& command) {
  using File = std::unique_ptr<std::FILE, FreeWith<std::fclose>>;
  const File errors(std::tmpfile());
  const std::string to =
      errors == nullptr ? "/dev/null" : fmt::format("/dev/fd/{}", fileno(errors.get()));
  const std::string shell = "exec 2>" + to + "\n" + command;
  std::FILE* pipe = popen(shell.c_str(), "r");  // NOLINT: the user's own words
  if (pipe == nullptr) return Error{ErrorCode::refused, "no process could be started"};
  std::string text = read_all(pipe);
  const int status = pclose(pipe);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  std::string said = errors == nullptr ? "" : stripped(read_all(errors.get()));
  said = said.substr(said.rfind('\n') + 1);
  return Error{ErrorCode::refused, fmt::format("ended with exit code {}{}{}",
                                               WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                                               said.empty() ? "" : ": ", printable(said, 300))};
}

// Of a profile whose section has them; half of a key is a mistake.
Result<Found> keys_of(const Section& section, const std::string& profile) {
  const std::string key = word_of(section, "aws_access_key_id");
  const std::string secret = word_of(section, "aws_secret_access_key");
  if (key.empty() && secret.empty()) return Found{};
  if (key.empty() || secret.empty()) {
    return Error{ErrorCode::refused,
                 fmt::format("the AWS profile `{}` has only one half of a key: {} is not set",
                             profile, key.empty() ? "aws_access_key_id" : "aws_secret_access_key"),
                 "set both, or none"};
  }
  return Found(Credentials{key, secret, word_of(section, "aws_session_token"), std::nullopt});
}

// By the keys of another profile, or of a place. With web identity the token is enough.
bool takes_role_of_another(const Section& section) {
  return !word_of(section, "role_arn").empty() &&
         word_of(section, "web_identity_token_file").empty();
}

}  // namespace

CredentialsSource::CredentialsSource(Environment environment, SharedConfig config, Place place,
                                     CredentialsWanted wanted, std::shared_ptr<Http> http,
                                     Clock& clock)
    : environment_(std::move(environment)),
      config_(std::move(config)),
      place_(std::move(place)),
      wanted_(std::move(wanted)),
      http_(std::move(http)),
      clock_(clock) {}

Result<Credentials> CredentialsSource::get() {
  const std::lock_guard lock(mutex_);
  const TimePoint now = clock_.now();
  const bool fresh = known_ && (!known_->expires || now + refresh_before < *known_->expires);
  const bool lives = known_ && (!known_->expires || now < *known_->expires);
  // Whoever had nothing better a moment ago is not asked for each request.
  if (fresh || (lives && clock_.monotonic() < asked_ + ask_again_after)) return *known_;
  asked_ = clock_.monotonic();
  Result<Credentials> found = find();
  // What still lives is better than nothing.
  if (!found.ok() && lives) return *known_;
  if (!found.ok()) return found;
  known_ = std::move(found).value();
  return *known_;
}

void CredentialsSource::forget() {
  const std::lock_guard lock(mutex_);
  known_.reset();
}

std::string CredentialsSource::origin() const {
  const std::lock_guard lock(mutex_);
  return origin_;
}

Result<Credentials> CredentialsSource::find() {
  const bool by_profile = !wanted_.profile.empty();
  Found found;
  if (!by_profile) {
    ASSIGN_OR_RETURN(found, from_environment());
    // The AWS CLI puts the role of a profile before web identity, and its keys behind.
    const auto profile = config_.profiles.find(place_.profile);
    const bool by_role =
        profile != config_.profiles.end() && takes_role_of_another(profile->second);
    if (!found && !by_role) {
      ASSIGN_OR_RETURN(found, from_web_identity());
    }
  }
  if (!found) {
    ASSIGN_OR_RETURN(found, from_profile(place_.profile, {}));
  }
  if (!found && !by_profile) {
    ASSIGN_OR_RETURN(found, from_container());
    if (!found) {
      ASSIGN_OR_RETURN(found, from_machine());
    }
  }
  if (!found) {
    return Error{ErrorCode::refused, "there are no credentials for AWS",
                 by_profile ? fmt::format("the profile `{}` names none", place_.profile)
                            : "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; "
                              "looked at: the environment, web identity, profile `" +
                                  place_.profile + "`, container, machine"};
  }
  if (wanted_.role_arn.empty()) return *found;
  return assume_role(wanted_.role_arn, {}, *found);
}

Result<Found> CredentialsSource::from_environment() {
  const std::string key = environment_("AWS_ACCESS_KEY_ID");
  const std::string secret = environment_("AWS_SECRET_ACCESS_KEY");
  if (key.empty() && secret.empty()) return Found{};
  if (key.empty() || secret.empty()) {
    return Error{ErrorCode::refused,
                 fmt::format("the environment has only one half of a key: {} is "
                             "not set",
                             key.empty() ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY"),
                 "set both, or none"};
  }
  origin_ = "the environment";
  return Found(Credentials{key, secret, environment_("AWS_SESSION_TOKEN"), std::nullopt});
}

Result<Found> CredentialsSource::from_web_identity() {
  const std::string file = environment_("AWS_WEB_IDENTITY_TOKEN_FILE");
  const std::string role = environment_("AWS_ROLE_ARN");
  if (file.empty() || role.empty()) return Found{};
  const std::optional<std::string> token = read_text(file);
  if (!token) {
    return Error{ErrorCode::refused, "AWS_WEB_IDENTITY_TOKEN_FILE names no file: " + file};
  }
  std::string session = environment_("AWS_ROLE_SESSION_NAME");
  if (session.empty()) session = "whimbrel";
  ASSIGN_OR_RETURN(Credentials found, assume_by_web_identity(role, session, *token));
  origin_ = "web identity as " + role;
  return Found(std::move(found));
}

// `through` are the profiles that have named it as their source, the last one last.
Result<Found> CredentialsSource::from_profile(const std::string& name,
                                              const std::vector<std::string>& through) {
  const auto it = config_.profiles.find(name);
  if (it == config_.profiles.end()) return Found{};
  const Section& section = it->second;
  ASSIGN_OR_RETURN(const Found keys, keys_of(section, name));
  // It may name itself, as the one that has the keys.
  const bool again = std::ranges::find(through, name) != through.end();
  if (again && !(keys && through.back() == name)) {
    return Error{ErrorCode::refused,
                 fmt::format("the AWS profile `{}` leads to itself by source_profile", name)};
  }
  const std::string role = word_of(section, "role_arn");
  // Whose keys are taken as a source takes no role before.
  const bool by_role = takes_role_of_another(section) && (through.empty() || !keys);
  if (by_role && !word_of(section, "source_profile").empty()) {
    const std::string source = word_of(section, "source_profile");
    std::vector<std::string> further = through;
    further.push_back(name);
    ASSIGN_OR_RETURN(const Found with, from_profile(source, further));
    if (!with) {
      return Error{ErrorCode::refused,
                   fmt::format("the source_profile `{}` of the AWS profile `{}` has no credentials",
                               source, name)};
    }
    ASSIGN_OR_RETURN(Credentials found, assume_role(role, section, *with));
    origin_ = "profile " + name;
    return Found(std::move(found));
  }
  if (by_role && !word_of(section, "credential_source").empty()) {
    ASSIGN_OR_RETURN(const Credentials with,
                     from_named_source(word_of(section, "credential_source"), name));
    ASSIGN_OR_RETURN(Credentials found, assume_role(role, section, with));
    origin_ = "profile " + name;
    return Found(std::move(found));
  }
  if (by_role) {
    return Error{
        ErrorCode::refused,
        fmt::format("the AWS profile `{}` has a role_arn, and nobody to take the role", name),
        "add source_profile or credential_source to it"};
  }
  if (!role.empty() && !word_of(section, "web_identity_token_file").empty()) {
    const std::optional<std::string> token = read_text(word_of(section, "web_identity_token_file"));
    if (!token) {
      return Error{
          ErrorCode::refused,
          fmt::format("the web_identity_token_file of the AWS profile `{}` is not there", name)};
    }
    std::string session = word_of(section, "role_session_name");
    if (session.empty()) session = "whimbrel";
    ASSIGN_OR_RETURN(Credentials found, assume_by_web_identity(role, session, *token));
    origin_ = "profile " + name;
    return Found(std::move(found));
  }
  if (!word_of(section, "sso_session").empty() || !word_of(section, "sso_start_url").empty()) {
    ASSIGN_OR_RETURN(Credentials found, from_sso(section, name));
    origin_ = "profile " + name + ", by SSO";
    return Found(std::move(found));
  }
  if (keys) {
    origin_ = "profile " + name;
    return keys;
  }
  if (!word_of(section, "credential_process").empty()) {
    ASSIGN_OR_RETURN(Credentials found, from_process(word_of(section, "credential_process"), name));
    origin_ = "profile " + name + ", by its process";
    return Found(std::move(found));
  }
  return Found{};
}

Result<Credentials> CredentialsSource::from_named_source(const std::string& source,
                                                         const std::string& profile) {
  Result<Found> found = source == "Environment"           ? from_environment()
                        : source == "EcsContainer"        ? from_container()
                        : source == "Ec2InstanceMetadata" ? from_machine()
                                                          : Result<Found>(Found{});
  if (!found.ok()) return std::move(found).error();
  if (found.value()) return *found.value();
  return Error{ErrorCode::refused,
               fmt::format("the credential_source `{}` of the AWS profile `{}` has none",
                           printable(source), profile),
               "Environment, EcsContainer or Ec2InstanceMetadata"};
}

Result<Credentials> CredentialsSource::from_process(const std::string& command,
                                                    const std::string& profile) {
  const std::string whence = "the credential_process of the AWS profile `" + profile + "`";
  Result<std::string> text = output_of(command);
  if (!text.ok()) {
    return Error{text.error().code, whence + " " + text.error().message,
                 "start it by hand: it has to print JSON with AccessKeyId and SecretAccessKey"};
  }
  return from_json(text.value(), whence);
}

// The token that `aws sso login` has left; never what other tools keep beside it.
Result<Credentials> CredentialsSource::from_sso(const Section& section,
                                                const std::string& profile) {
  const std::string login = "run `aws sso login --profile " + profile + "`";
  const std::string session = word_of(section, "sso_session");
  Section from = section;
  if (!session.empty()) {
    const auto it = config_.sso_sessions.find(session);
    if (it == config_.sso_sessions.end()) {
      return Error{ErrorCode::refused,
                   fmt::format("the AWS profile `{}` names the sso_session `{}`, and there is none",
                               profile, session),
                   "~/.aws/config needs [sso-session " + session + "]"};
    }
    for (const auto& [key, value] : it->second) from.emplace(key, value);
  }
  const std::string name = session.empty() ? word_of(from, "sso_start_url") : session;
  const std::string home = environment_("HOME");
  const std::optional<std::string> text =
      read_text(home + "/.aws/sso/cache/" + sha1_hex(name) + ".json");
  if (!text) {
    return Error{ErrorCode::refused, "nobody is logged in for the AWS profile `" + profile + "`",
                 login};
  }
  const nlohmann::json cached = nlohmann::json::parse(*text, nullptr, false);
  const std::string token = text_of(cached, {"accessToken"});
  const auto expires = parse_time(text_of(cached, {"expiresAt"}));
  if (token.empty() || !expires || *expires <= clock_.now()) {
    return Error{ErrorCode::refused, "the login of the AWS profile `" + profile + "` has expired",
                 login};
  }
  Place there = place_;
  there.region = word_of(from, "sso_region");
  HttpRequest request;
  request.method = "GET";
  request.url = there.url_of("portal.sso") +
                "/federation/credentials?role_name=" + uri_encode(word_of(from, "sso_role_name")) +
                "&account_id=" + uri_encode(word_of(from, "sso_account_id"));
  request.headers = {{"x-amz-sso_bearer_token", token}};
  ASSIGN_OR_RETURN(const HttpResponse answer, send_one(*http_, request));
  if (answer.status != 200) {
    return Error{ErrorCode::refused,
                 fmt::format("SSO gave no credentials for the AWS profile `{}` (status {})",
                             profile, answer.status),
                 login};
  }
  const nlohmann::json body = nlohmann::json::parse(answer.body, nullptr, false);
  const bool whole = body.is_object() && body.contains("roleCredentials");
  return from_json(whole ? body["roleCredentials"].dump() : "", "SSO");
}

Result<Found> CredentialsSource::from_container() {
  const std::string relative = environment_("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  std::string url = environment_("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (!relative.empty()) url = "http://169.254.170.2" + relative;
  if (url.empty()) return Found{};
  HttpRequest request;
  request.method = "GET";
  request.url = url;
  request.timeout = Milliseconds(5'000);
  std::string token = environment_("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = environment_("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
      !file.empty()) {
    const std::optional<std::string> text = read_text(file);
    if (!text) {
      return Error{ErrorCode::refused,
                   "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names no file: " + file};
    }
    token = stripped(*text);
  }
  if (!token.empty()) request.headers.emplace_back("authorization", token);
  ASSIGN_OR_RETURN(const HttpResponse answer, send_one(*http_, request));
  if (answer.status != 200) {
    return Error{
        ErrorCode::unavailable,
        fmt::format("the container's credentials are not given (status {})", answer.status)};
  }
  ASSIGN_OR_RETURN(Credentials found, from_json(answer.body, "the container"));
  origin_ = "the container";
  return Found(std::move(found));
}

Result<Found> CredentialsSource::from_machine() {
  if (ascii_lower(environment_("AWS_EC2_METADATA_DISABLED")) == "true") return Found{};
  std::string base = environment_("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (base.empty()) base = "http://169.254.169.254";
  while (base.ends_with('/')) base.pop_back();
  HttpRequest request;
  request.method = "PUT";
  request.url = base + "/latest/api/token";
  request.headers = {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}};
  request.timeout = Milliseconds(1'000);
  const Result<HttpResponse> token = send_one(*http_, request);
  if (!token.ok() || token.value().status != 200) return Found{};  // this is no such machine
  const auto ask = [&](const std::string& path) {
    HttpRequest question;
    question.method = "GET";
    question.url = base + "/latest/meta-data/iam/security-credentials/" + path;
    question.headers = {{"x-aws-ec2-metadata-token", token.value().body}};
    question.timeout = Milliseconds(2'000);
    return send_one(*http_, question);
  };
  const Result<HttpResponse> roles = ask("");
  if (!roles.ok() || roles.value().status != 200) return Found{};
  const std::string role = stripped(roles.value().body.substr(0, roles.value().body.find('\n')));
  ASSIGN_OR_RETURN(const HttpResponse answer, ask(role));
  ASSIGN_OR_RETURN(Credentials found, from_json(answer.body, "the machine's role " + role));
  origin_ = "the machine's role " + role;
  return Found(std::move(found));
}

Result<Credentials> CredentialsSource::assume_role(const std::string& role, const Section& section,
                                                   const Credentials& with) {
  if (!word_of(section, "mfa_serial").empty()) {
    return Error{ErrorCode::refused, "the role " + role + " wants a code of mfa_serial",
                 "let a credential_process ask for it, or set AWS_SESSION_TOKEN and its keys"};
  }
  std::string session = word_of(section, "role_session_name");
  if (session.empty()) session = environment_("AWS_ROLE_SESSION_NAME");
  if (session.empty()) session = "whimbrel";
  std::string body = "Action=AssumeRole&Version=2011-06-15&RoleArn=" + uri_encode(role) +
                     "&RoleSessionName=" + uri_encode(session);
  if (const std::string id = word_of(section, "external_id"); !id.empty()) {
    body += "&ExternalId=" + uri_encode(id);
  }
  if (const std::string seconds = word_of(section, "duration_seconds"); !seconds.empty()) {
    body += "&DurationSeconds=" + uri_encode(seconds);
  }
  return ask_sts(body, &with, role);
}

Result<Credentials> CredentialsSource::assume_by_web_identity(const std::string& role,
                                                              const std::string& session,
                                                              const std::string& token) {
  return ask_sts("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" + uri_encode(role) +
                     "&RoleSessionName=" + uri_encode(session) +
                     "&WebIdentityToken=" + uri_encode(stripped(token)),
                 nullptr, role);
}

Result<Credentials> CredentialsSource::ask_sts(const std::string& body, const Credentials* with,
                                               const std::string& what) {
  const std::string region = place_.region.empty() ? "us-east-1" : place_.region;
  Place there = place_;
  there.region = region;
  HttpRequest request;
  request.url = there.url_of("sts") + "/";
  request.headers = {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}};
  request.body = body;
  if (with != nullptr) Signer(region, "sts").sign(request, *with, clock_.now());
  ASSIGN_OR_RETURN(const HttpResponse answer, send_one(*http_, request));
  if (answer.status != 200) {
    return Error{answer.status >= 500 ? ErrorCode::unavailable : ErrorCode::refused,
                 fmt::format("STS does not give the role {}: {}", what,
                             printable(tag_of(answer.body, "Message"), 300)),
                 "its trust policy has to allow whoever asks"};
  }
  Credentials found{tag_of(answer.body, "AccessKeyId"), tag_of(answer.body, "SecretAccessKey"),
                    tag_of(answer.body, "SessionToken"),
                    parse_time(tag_of(answer.body, "Expiration"))};
  if (found.access_key.empty()) {
    return Error{ErrorCode::refused, "STS gave an answer without credentials for " + what};
  }
  return found;
}

}  // namespace whimbrel::aws
