#include "aws/profile.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/text.h"

namespace whimbrel::aws {

namespace {

std::string trim(std::string_view text) {
  while (!text.empty() && std::string_view(" \t\r").find(text.front()) != std::string_view::npos) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::string_view(" \t\r").find(text.back()) != std::string_view::npos) {
    text.remove_suffix(1);
  }
  return std::string(text);
}

// `[profile 'two words']`: the AWS CLI writes it so where a name has spaces.
std::string unquoted(const std::string& name) {
  const bool quoted = name.size() > 1 && name.front() == name.back() &&
                      (name.front() == '\'' || name.front() == '"');
  return quoted ? name.substr(1, name.size() - 2) : name;
}

Section* section_for(const std::string& header, bool is_credentials, SharedConfig& config) {
  // `[x]` is a profile in credentials; in config only the default one goes without the word.
  if (is_credentials || header == "default") return &config.profiles[header];
  const std::size_t space = header.find_first_of(" \t");
  const std::string word = header.substr(0, space);
  const std::string name = space == std::string::npos ? "" : unquoted(trim(header.substr(space)));
  if (name.empty()) return nullptr;
  if (word == "profile") return &config.profiles[name];
  if (word == "sso-session") return &config.sso_sessions[name];
  if (word == "services") return &config.services[name];
  return nullptr;
}

Result<std::string> read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  if (in) text << in.rdbuf();
  return text.str();
}

std::string home(const Environment& environment) {
  const std::string home = environment("HOME");
  return home.empty() ? "." : home;
}

// What names an endpoint in the environment and in `[services]`, by the name it is signed with.
struct ServiceName {
  const char* signing;
  const char* variable;
  const char* section;
};
constexpr std::array services = {
    ServiceName{"dynamodb", "DYNAMODB", "dynamodb"},
    ServiceName{"streams.dynamodb", "DYNAMODB_STREAMS", "dynamodb_streams"},
    ServiceName{"s3", "S3", "s3"},
    ServiceName{"sts", "STS", "sts"},
    ServiceName{"lambda", "LAMBDA", "lambda"},
    ServiceName{"ssm", "SSM", "ssm"},
    ServiceName{"monitoring", "CLOUDWATCH", "cloudwatch"},
    ServiceName{"portal.sso", "SSO", "sso"},
};

}  // namespace

Environment process_environment() {
  return [](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return std::string(value == nullptr ? "" : value);
  };
}

Status read_config_text(const std::string& text, bool is_credentials, const std::string& name,
                        SharedConfig& into) {
  std::istringstream lines(text);
  std::string line;
  Section* section = nullptr;
  std::string outer;  // a key without a value, whose indented lines belong to it
  std::string last;   // the key that an indented line goes on with
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string word = trim(line);
    if (word.empty() || word.front() == '#' || word.front() == ';') continue;
    const bool indented = line.front() == ' ' || line.front() == '\t';
    if (!indented && word.front() == '[') {
      const std::size_t end = word.find(']');
      if (end == std::string::npos) {
        return Error{ErrorCode::invalid_plan,
                     fmt::format("{}:{}: a `[` without its `]`", name, number),
                     "the AWS CLI does not read this file either"};
      }
      section = section_for(trim(word.substr(1, end - 1)), is_credentials, into);
      outer.clear();
      last.clear();
      continue;
    }
    const std::size_t equals = word.find('=');
    if (indented && outer.empty() && !last.empty() && section != nullptr) {
      (*section)[last] += "\n" + word;
      continue;
    }
    if (equals == std::string::npos) {
      return Error{
          ErrorCode::invalid_plan,
          fmt::format("{}:{}: a line that is neither `[section]` nor `key = value`", name, number),
          "the AWS CLI does not read this file either"};
    }
    if (section == nullptr) continue;  // of a section that is none of ours
    std::string key = ascii_lower(trim(word.substr(0, equals)));
    std::string value = trim(word.substr(equals + 1));
    for (const char* comment : {" #", " ;", "\t#", "\t;"}) {
      if (const std::size_t at = value.find(comment); at != std::string::npos) {
        value = trim(value.substr(0, at));
      }
    }
    if (indented && !outer.empty()) {
      (*section)[outer + "." + key] = value;
      continue;
    }
    outer = value.empty() ? key : "";
    last = key;
    (*section)[key] = value;
  }
  return {};
}

Result<SharedConfig> read_shared_config(const Environment& environment) {
  const auto path_of = [&](const char* variable, const char* file) {
    std::string path = environment(variable);
    if (path.empty()) path = "~/.aws/" + std::string(file);
    return path.starts_with("~/") ? home(environment) + path.substr(1) : path;
  };
  SharedConfig config;
  const std::string config_path = path_of("AWS_CONFIG_FILE", "config");
  ASSIGN_OR_RETURN(const std::string settings, read_whole(config_path));
  TRY(read_config_text(settings, false, config_path, config));
  const std::string credentials_path = path_of("AWS_SHARED_CREDENTIALS_FILE", "credentials");
  ASSIGN_OR_RETURN(const std::string secrets, read_whole(credentials_path));
  TRY(read_config_text(secrets, true, credentials_path, config));
  return config;
}

std::string profile_name(const Environment& environment) {
  for (const char* variable : {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}) {
    if (std::string name = environment(variable); !name.empty()) return name;
  }
  return "default";
}

std::string Place::url_of(const std::string& service) const {
  // Streams answer beside the tables wherever there is one address for both.
  const std::string beside = service == "streams.dynamodb" ? "dynamodb" : service;
  for (const std::string& name : {service, beside, std::string()}) {
    const auto it = endpoints.find(name);
    if (it == endpoints.end()) continue;
    std::string url = it->second;
    while (!url.empty() && url.back() == '/') url.pop_back();
    return url;
  }
  const bool china = region.starts_with("cn-");
  return fmt::format("https://{}.{}.amazonaws.com{}", service, region, china ? ".cn" : "");
}

Result<Place> find_place(const Environment& environment, const SharedConfig& config,
                         const std::string& profile, const std::string& region,
                         const std::string& endpoint) {
  Place place;
  place.profile = profile.empty() ? profile_name(environment) : profile;
  const auto known = config.profiles.find(place.profile);
  const bool named = !profile.empty() || place.profile != "default";
  if (known == config.profiles.end() && named) {
    std::vector<std::string> names;
    for (const auto& [name, section] : config.profiles) names.push_back(name);
    const std::string near = did_you_mean(place.profile, names);
    return Error{ErrorCode::invalid_plan,
                 fmt::format("there is no AWS profile `{}`", printable(place.profile)),
                 !near.empty()   ? near
                 : names.empty() ? "~/.aws/config and ~/.aws/credentials name no profile"
                                 : "there are " + join(names, ", ")};
  }
  const Section section = known == config.profiles.end() ? Section{} : known->second;
  const auto of_profile = [&](const std::string& key) {
    const auto it = section.find(key);
    return it == section.end() ? std::string() : it->second;
  };
  for (const std::string& value : {region, environment("AWS_REGION"),
                                   environment("AWS_DEFAULT_REGION"), of_profile("region")}) {
    if (place.region.empty()) place.region = value;
  }
  place.ca_bundle = environment("AWS_CA_BUNDLE");
  if (place.ca_bundle.empty()) place.ca_bundle = of_profile("ca_bundle");
  std::string ignored = environment("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
  if (ignored.empty()) ignored = of_profile("ignore_configured_endpoint_urls");
  if (ascii_lower(ignored) != "true") {
    const std::string all = environment("AWS_ENDPOINT_URL");
    const auto own = config.services.find(of_profile("services"));
    for (const ServiceName& one : services) {
      std::string url = environment(std::string("AWS_ENDPOINT_URL_") + one.variable);
      // What the environment says of all services comes before what the files say of one.
      if (url.empty() && all.empty() && own != config.services.end()) {
        const auto it = own->second.find(std::string(one.section) + ".endpoint_url");
        if (it != own->second.end()) url = it->second;
      }
      if (!url.empty()) place.endpoints[one.signing] = url;
    }
    const std::string of_all = all.empty() ? of_profile("endpoint_url") : all;
    if (!of_all.empty()) place.endpoints[""] = of_all;
  }
  if (!endpoint.empty()) {
    for (const char* service : {"dynamodb", "streams.dynamodb", "s3"}) {
      place.endpoints[service] = endpoint;
    }
  }
  if (place.region.empty() && !place.endpoints.empty()) place.region = "us-east-1";
  return place;
}

}  // namespace whimbrel::aws
