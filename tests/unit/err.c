// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/err.h"
#include "unit.h"

TEST("an error gets a code and a sentence, and returns the code")
{
	struct cowdax_error error = {0};

	CHECK_EQUAL(cdx_error(&error, -EINVAL, "%s: %d is odd", "width", 3), -EINVAL);
	CHECK_EQUAL(error.code, -EINVAL);
	CHECK(strcmp(error.text, "width: 3 is odd") == 0);
}

TEST("a caller that wants no sentence passes NULL")
{
	CHECK_EQUAL(cdx_error(NULL, -EIO, "never formatted"), -EIO);
	CHECK_EQUAL(cdx_error_errno(NULL, -EIO, "image"), -EIO);
}

TEST("a sentence that is too long is cut, and ends")
{
	struct cowdax_error error;
	char name[2000];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cdx_error(&error, -ENOENT, "%s: gone", name);
	CHECK_EQUAL(strlen(error.text), sizeof(error.text) - 1);
}

TEST("an errno becomes WHAT: reason")
{
	struct cowdax_error error = {0};

	CHECK_EQUAL(cdx_error_errno(&error, -ENOENT, "image"), -ENOENT);
	CHECK(strcmp(error.text, "image: No such file or directory") == 0);
}

TEST("the first sentence about a failure is the one that stays")
{
	struct cowdax_error error = {0};

	cdx_error(&error, -EBUSY, "image: mounted");
	cdx_error_errno(&error, -EBUSY, "image");
	CHECK(strcmp(error.text, "image: mounted") == 0);
	cdx_error_errno(&error, -EIO, "image");
	CHECK(strcmp(error.text, "image: Input/output error") == 0);
}
