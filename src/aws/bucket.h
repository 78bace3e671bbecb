// One bucket of S3 and the objects in it.
//
// Addressed by path, so that one address serves all buckets; a bucket of another region is followed
// there. Keys are as people write them, without a slash in front. Errors, if nothing else is said:
// `refused` with the permission that is missing, not_found for the bucket, `unavailable` for what
// trying again may mend. Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "base/error.h"

namespace whimbrel::aws {

class Bucket {
 public:
  struct Object {
    std::string body;
    std::string etag;       // with its quotes
    std::int64_t size = 0;  // of the whole object
    // What an object that takes its place has to say to be like it: its type, how long it may be
    // kept, whose key encrypts it, and what its owner has noted of it. Not its tags, nor rights of
    // its own.
    Headers about = {};
  };
  // An object that comes in parts, each but the last of 5 MiB at least; 10,000 of them at most.
  struct Upload {
    std::string key;
    std::string id;
    std::vector<std::string> etags;
    std::int64_t size = 0;
  };

  static Result<std::unique_ptr<Bucket>> open(std::string name, Access::Wanted wanted,
                                              Clock& clock);
  const std::string& name() const { return name_; }
  // That it is there, and may be looked at.
  Status reach();

  Result<bool> holds(const std::string& key);
  // `count` bytes from `from`; fewer at the end, none behind it, unset where there is no such
  // object. Of the version `etag`, unless "":
  // `conflict` when it is another one by now.
  Result<std::optional<Object>> get_part(const std::string& key, std::int64_t from,
                                         std::int64_t count, const std::string& etag);
  // Gives the etag. With `instead_of` only where that is what is there, "" for nothing: else
  // `conflict`; on a server that knows no conditions, always. `about`: as of an Object.
  Result<std::string> put(const std::string& key, const std::string& body,
                          const std::optional<std::string>& instead_of = std::nullopt,
                          const Headers& about = {});
  // Well also when it was not there.
  Status remove(const std::string& key);

  Result<Upload> begin_upload(const std::string& key);
  Status add_part(Upload& upload, std::string body);
  // `unavailable` where S3 does not put the parts together, or somebody has ended the upload.
  Status complete(const Upload& upload);
  // What has arrived is not kept, nor paid for.
  Status abort(const Upload& upload);

 private:
  Bucket(std::string name, Access::Wanted wanted, Clock& clock);
  Status connect();
  Result<Reply> send(Call call);
  Result<bool> is_made_of(const Upload& upload);
  Error to_error(const Reply& reply, const std::string& operation) const;
  std::string path_of(const std::string& key) const;

  std::string name_;
  Access::Wanted wanted_;
  Clock& clock_;
  std::unique_ptr<Client> client_;
};

}  // namespace whimbrel::aws
