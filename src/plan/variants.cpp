#include "plan/variants.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace whimbrel {

namespace {

// yaml-cpp gives a mark only to what it has read (YAML::Clone loses it, too): so an empty map is
// read from the place where the old one stands.
YAML::Node empty_map_at(const YAML::Node& place) {
  const YAML::Mark mark = place.Mark();
  if (mark.is_null()) return YAML::Node(YAML::NodeType::Map);
  return YAML::Load(std::string(static_cast<std::size_t>(mark.line), '\n') +
                    std::string(static_cast<std::size_t>(mark.column), ' ') + "{}");
}

std::string key_of(const YAML::Node& key) { return key.IsScalar() ? key.Scalar() : ""; }

// Neither of both is changed: an alias may have put them elsewhere as well.
YAML::Node merged(const YAML::Node& base, const YAML::Node& over, const std::string& left_out) {
  if (!base.IsMap() || !over.IsMap()) return over;
  YAML::Node out = empty_map_at(base);
  std::set<std::string> merged_keys;
  for (const auto& entry : base) {
    const std::string key = key_of(entry.first);
    if (!left_out.empty() && key == left_out) continue;
    const auto change = std::ranges::find_if(
        over, [&](const auto& one) { return !key.empty() && key_of(one.first) == key; });
    if (change == over.end()) {
      out.force_insert(entry.first, entry.second);
      continue;
    }
    merged_keys.insert(key);
    const bool both_are_maps = entry.second.IsMap() && change->second.IsMap();
    out.force_insert(both_are_maps ? entry.first : change->first,
                     merged(entry.second, change->second, ""));
  }
  // What stands there twice stays twice, and is told like that.
  for (const auto& entry : over) {
    if (merged_keys.erase(key_of(entry.first)) == 0) out.force_insert(entry.first, entry.second);
  }
  return out;
}

}  // namespace

YAML::Node with_variant(YamlReader& reader, const YAML::Node& root,
                        const std::vector<std::string>& keys) {
  const YAML::Node chosen = YamlReader::child(root, "variant");
  const YAML::Node variants = YamlReader::child(root, "variants");
  if (!variants.IsDefined()) {
    if (chosen.IsDefined()) {
      reader.diagnostics().add(YamlReader::place(chosen), "the plan has no variants to choose from",
                               "add `variants: {NAME: {…}}`, or leave `variant` out");
    }
    return root;
  }
  const YAML::Node nothing(YAML::NodeType::Map);
  if (!reader.check_keys(variants, "`variants`", {})) return merged(root, nothing, "variants");
  std::vector<std::string> names;
  for (const auto& entry : variants) {
    names.push_back(key_of(entry.first));
    if (entry.second.IsNull()) continue;  // as the rest says
    reader.check_keys(entry.second, fmt::format("the variant `{}`", printable(names.back())), keys);
  }
  if (!chosen.IsDefined()) {
    reader.diagnostics().add(YamlReader::place(variants),
                             "the plan has variants, and does not say which of them is meant",
                             "add `variant: ${environment}`, and say `--var environment=NAME`");
    return merged(root, nothing, "variants");
  }
  const std::size_t known = reader.diagnostics().mistakes().size();
  const std::string name = reader.text(chosen);
  const bool is_known = std::ranges::count(names, name) > 0;
  const bool is_unset = name.empty() && !reader.diagnostics().empty();  // told already
  if (!is_known && !is_unset && reader.diagnostics().mistakes().size() == known) {
    const std::string near = did_you_mean(name, names);
    reader.diagnostics().add(
        YamlReader::place(chosen), fmt::format("the plan has no variant `{}`", printable(name)),
        fmt::format("{}{}its variants: {}", near, near.empty() ? "" : " ", join(names, ", ")));
  }
  const YAML::Node variant = is_known ? YamlReader::child(variants, name) : nothing;
  return merged(root, variant.IsMap() ? variant : nothing, "variants");
}

bool a_variant_renames(const YAML::Node& root) {
  const YAML::Node variants = YamlReader::child(root, "variants");
  return variants.IsDefined() && variants.IsMap() &&
         std::ranges::any_of(variants, [](const auto& variant) {
           return YamlReader::child(variant.second, "migration").IsDefined();
         });
}

}  // namespace whimbrel
