// How texts were spelled before they got a type that spells its values in one way only.
//
// A uuid has one text; "A0EE…" and "{a0ee…}" were others for the same value. What is noted here
// leads from the new text to the one that was there, so that a way back finds the old row.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace whimbrel {

// Any thread.
class Spellings {
 public:
  using Entries = std::map<std::string, std::string>;  // by the new text

  // What is known already.
  void put(const std::string& now, const std::string& was);
  // A row was seen whose text `was` is `now` on the other side: the last one seen holds.
  void see(const std::string& was, const std::string& now);
  // Unset: no other text is known for this one.
  std::optional<std::string> instead_of(const std::string& now) const;
  Entries all() const;

  // What has been seen and is written down nowhere yet; `kept` when that has happened.
  Entries unkept() const;
  void kept(const Entries& entries);

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::string> was_;
  Entries unkept_;
};

// A column whose texts may be spelled otherwise afterwards.
struct Respelling {
  std::string column = {};          // of the source and of the target
  std::shared_ptr<Spellings> book;  // what has been spelled otherwise
  bool takes_any = false;           // else only what is listed
  // One of several columns of a key, and not the spelling of another table's: see image_of().
  bool is_one_of_several = false;
  // Where this one says nothing: of the column that it refers to without a foreign key.
  std::shared_ptr<const Spellings> parent = nullptr;
  // From a text to the one that is meant by it; null where a plan lists none.
  std::shared_ptr<const Spellings> listed = nullptr;
  int source = -1;  // positions in the tables, once there is a mapping
  int target = -1;
};

}  // namespace whimbrel
