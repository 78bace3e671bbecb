// YAML with places: maps whose keys are known, scalars of a wanted type, variables filled in.
//
// yaml-cpp's exceptions end here.
#pragma once

#include <yaml-cpp/yaml.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "plan/diagnostics.h"
#include "value/value.h"

namespace whimbrel {

struct LookupEntry;

class YamlReader {
 public:
  YamlReader(Diagnostics& diagnostics, std::map<std::string, std::string> variables)
      : diagnostics_(diagnostics), variables_(std::move(variables)) {}

  // Null when the text is no YAML; the mistake is then noted.
  YAML::Node load(const std::string& text);
  // Its default is for where the environment says nothing.
  void ask_environment_first(const std::string& name) { environment_first_.insert(name); }
  void set_default(const std::string& name, const std::string& value) { defaults_[name] = value; }
  // From the command line, a default or the environment.
  std::optional<std::string> variable(const std::string& name) const;
  // Its being unset has been told: not again at each place that uses it.
  void is_told_unset(const std::string& name) { told_unset_.insert(name); }

  static Place place(const YAML::Node& node);
  // Notes unknown, doubled and not yet supported keys; false when this is no map.
  bool check_keys(const YAML::Node& map, const std::string& what,
                  const std::vector<std::string>& known, const std::vector<std::string>& later = {},
                  const std::string& like = "");
  // The child without yaml-cpp's habit of making one up.
  static YAML::Node child(const YAML::Node& map, const std::string& key);

  // Text with ${NAME} filled in; the mistake is noted when a name is unset.
  std::string text(const YAML::Node& node);
  std::optional<std::string> text_at(const YAML::Node& map, const std::string& key);
  std::optional<bool> flag_at(const YAML::Node& map, const std::string& key);
  std::optional<std::int64_t> whole_at(const YAML::Node& map, const std::string& key,
                                       std::int64_t least);
  // A number greater than 0.
  std::optional<double> amount_at(const YAML::Node& map, const std::string& key);
  // "500MB", "10GB", "64kB" or a plain number of bytes.
  std::optional<std::int64_t> bytes_at(const YAML::Node& map, const std::string& key);
  std::optional<Milliseconds> duration_at(const YAML::Node& map, const std::string& key);
  // One of these words; notes a mistake for others.
  std::optional<std::string> word_at(const YAML::Node& map, const std::string& key,
                                     const std::vector<std::string>& words,
                                     const std::vector<std::string>& later = {});
  std::vector<std::string> texts_at(const YAML::Node& map, const std::string& key);
  // A scalar by YAML's own types: 30 is a number, "30" and words are text, null is null.
  Value value(const YAML::Node& node);
  static bool is_quoted(const YAML::Node& node) { return node.Tag() == "!"; }

  Diagnostics& diagnostics() { return diagnostics_; }
  // Where the lookups go that stand in a value; null where a value can have none.
  void put_lookups_into(std::vector<LookupEntry>* lookups) { lookups_ = lookups; }
  std::vector<LookupEntry>* lookups() const { return lookups_; }
  // Values of variables whose names say that they are secret, as far as they were filled in.
  std::vector<std::string> secrets() const { return {secrets_.begin(), secrets_.end()}; }

 private:
  std::string fill_in(const std::string& raw, Place at);

  Diagnostics& diagnostics_;
  std::map<std::string, std::string> variables_;
  std::map<std::string, std::string> defaults_;
  std::set<std::string> environment_first_;
  std::set<std::string> told_unset_;  // variables
  std::set<std::string> secrets_;
  std::vector<LookupEntry>* lookups_ = nullptr;
};

}  // namespace whimbrel
