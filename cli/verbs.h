// One function a verb; each gives the exit code.
#pragma once

#include "context.h"

namespace whimbrel::cli {

int analyze(const Options& options);
int check(const Options& options);
int run(const Options& options);
int status(const Options& options);
int control(const Options& options, const std::string& verb);  // pause, resume, limits
int verify(const Options& options);
int cutover(const Options& options);
int rollback(const Options& options);
int finish(const Options& options);
int watch(const Options& options);
int backup(const Options& options);
int restore(const Options& options);
int report(const Options& options);
int schema();
int test(const Options& options);
int diff(const Options& options);
int init(const Options& options);
int reverse(const Options& options);
int measure(const Options& options);
int compare(const Options& options);
int diagnose(const Options& options);

// file:FOLDER or s3://BUCKET/PREFIX, as take_backup() wants it; invalid_plan for anything else.
Result<std::string> place_of(const std::string& url);

// On the command line odd characters of a name are percent-encoded.
std::string percent_decoded(const std::string& text);

}  // namespace whimbrel::cli
