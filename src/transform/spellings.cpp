#include "transform/spellings.h"

namespace whimbrel {

void Spellings::put(const std::string& now, const std::string& was) {
  const std::lock_guard lock(mutex_);
  was_[now] = was;
}

void Spellings::see(const std::string& was, const std::string& now) {
  const std::lock_guard lock(mutex_);
  const auto known = was_.find(now);
  const bool is_known = known == was_.end() ? was == now : known->second == was;
  if (is_known) return;
  was_[now] = was;
  unkept_[now] = was;
}

std::optional<std::string> Spellings::instead_of(const std::string& now) const {
  const std::lock_guard lock(mutex_);
  const auto known = was_.find(now);
  return known == was_.end() ? std::nullopt : std::optional(known->second);
}

Spellings::Entries Spellings::all() const {
  const std::lock_guard lock(mutex_);
  return {was_.begin(), was_.end()};
}

Spellings::Entries Spellings::unkept() const {
  const std::lock_guard lock(mutex_);
  return unkept_;
}

void Spellings::kept(const Entries& entries) {
  const std::lock_guard lock(mutex_);
  for (const auto& [now, was] : entries) {
    const auto it = unkept_.find(now);
    if (it != unkept_.end() && it->second == was) unkept_.erase(it);
  }
}

}  // namespace whimbrel
