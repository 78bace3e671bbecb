// The files beside the journal, as far as the checker wants to read them.
#pragma once

#include <string>
#include <vector>

#include "application.h"
#include "faults.h"
#include "follow/sidecar.h"
#include "world.h"

namespace whimbrel::simulation {

class World::BookSidecar final : public Sidecar {
 public:
  explicit BookSidecar(World& world) : world_(world) {}

  Status rejected(const Move& move, const Row& key, const std::string& reason) override {
    TRY(world_.faults_.before("rejected"));
    Page& page = world_.application_->pages()[static_cast<std::size_t>(move.index)];
    std::string text = text_or(key[0], "");
    if (!page.key_prefix.empty() && text.starts_with(page.key_prefix)) text = page.old_key(text);
    if (reason.find("both sides") == std::string::npos) {
      page.set_aside.insert(text);
      return world_.faults_.after("rejected");
    }
    page.conflicts.insert(text);
    if (!page.written_old.contains(text) || !page.written_new.contains(text)) {
      world_.violate("named as written on both sides, and it was not: " + text);
    }
    return world_.faults_.after("rejected");
  }

  Status begin_anew() override { return world_.faults_.alone("rejected"); }

  Status repaired(const std::string&, const std::vector<std::string>&, const Row&,
                  const std::optional<Row>&) override {
    TRY(world_.faults_.alone("repaired"));
    return world_.faults_.alone("repaired");
  }

  Status kept(const Migration&, const std::vector<KeptRow>& rows) override {
    TRY(world_.faults_.alone("kept"));
    kept_ = rows;
    return world_.faults_.alone("kept");
  }
  const std::vector<KeptRow>& last_kept() const { return kept_; }

 private:
  World& world_;
  std::vector<KeptRow> kept_;
};

}  // namespace whimbrel::simulation
