/* SPDX-License-Identifier: MIT */
#include "efi_auth.h"

#include "bytes.h"
#include "io.h"

#include <string.h>

enum {
	AT_LENGTH = 16,
	AT_REVISION = 20,
	AT_TYPE = 22,
	AT_GUID = 24,
	AT_SIGNATURE = 40,
	CERTIFICATE_HEADER = AT_SIGNATURE - AT_LENGTH,
	REVISION = 0x0200,
	TYPE_GUID = 0x0ef1,
	DER_SEQUENCE = 0x30,
};

/* 4aafd29d-68df-49ee-8aa9-347d375665a7 */
static const uint8_t pkcs7_guid[16] = { 0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49,
					0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7 };

#define KINDS_IMAGES (1u << SIGLIST_SHA1 | 1u << SIGLIST_SHA256 | 1u << SIGLIST_SHA384 | 1u << SIGLIST_SHA512)
#define KINDS_CERTS (1u << SIGLIST_X509_SHA256 | 1u << SIGLIST_X509_SHA384 | 1u << SIGLIST_X509_SHA512)

static const struct {
	const char *name;
	enum vars_guid guid;
	unsigned kinds;
} variables[EFI_AUTH_VARIABLES] = {
	[EFI_AUTH_KEK] = { "KEK", VARS_GLOBAL, 1u << SIGLIST_X509 },
	[EFI_AUTH_DB] = { "db", VARS_SECURITY, 1u << SIGLIST_X509 | KINDS_IMAGES },
	[EFI_AUTH_DBX] = { "dbx", VARS_SECURITY, 1u << SIGLIST_X509 | KINDS_IMAGES | KINDS_CERTS },
};

const char *efi_auth_name(enum efi_auth_variable variable)
{
	return variables[variable].name;
}

enum vars_guid efi_auth_guid(enum efi_auth_variable variable)
{
	return variables[variable].guid;
}

enum efi_auth_variable efi_auth_variable_of(const char *name)
{
	size_t len = strcspn(name, "-");
	unsigned i = 0;

	while (i < EFI_AUTH_VARIABLES &&
	       (strlen(variables[i].name) != len || strncmp(variables[i].name, name, len) != 0))
		i++;
	return i;
}

/* Year, month, day, hour, minute and second count; the specification has the others 0. */
static bool time_is_clean(const uint8_t *time)
{
	static const uint8_t zero[8];

	return time[7] == 0 && memcmp(time + 8, zero, sizeof zero) == 0;
}

/* DER's definite length: the SEQUENCE fills all of it. */
static bool is_one_sequence(const uint8_t *der, size_t len)
{
	size_t head = 2, size;

	if (len < 2 || der[0] != DER_SEQUENCE)
		return false;
	size = der[1];
	if (size > 0x80) {
		size_t bytes = size - 0x80;

		if (bytes > 4 || bytes > len - head)
			return false;
		size = 0;
		for (size_t i = 0; i < bytes; i++)
			size = size << 8 | der[head + i];
		head += bytes;
	}
	return der[1] != 0x80 && size == len - head;
}

static int header_parse(const char *name, struct efi_auth *auth, struct err *err)
{
	const uint8_t *bytes = auth->bytes;
	size_t size;

	if (auth->len < AT_SIGNATURE)
		return err_set(err, EX_DATAERR, "%s ends within its EFI_VARIABLE_AUTHENTICATION_2: it is no "
			       ".auth file", name);
	size = le32_get(bytes + AT_LENGTH);
	if (le16_get(bytes + AT_REVISION) != REVISION || le16_get(bytes + AT_TYPE) != TYPE_GUID ||
	    memcmp(bytes + AT_GUID, pkcs7_guid, sizeof pkcs7_guid) != 0)
		return err_set(err, EX_DATAERR, "%s does not begin with a PKCS#7 signature: it is no .auth file "
			       "(an .esl is made one by sign-efi-sig-list -a)", name);
	if (size < CERTIFICATE_HEADER || size > auth->len - AT_LENGTH)
		return err_set(err, EX_DATAERR, "%s has a signature of %zu bytes, where %zu are left", name, size,
			       auth->len - AT_LENGTH);
	if (!time_is_clean(bytes))
		return err_set(err, EX_DATAERR, "%s has a time stamp with nanoseconds, a time zone or rubbish, "
			       "which firmware refuses", name);
	auth->time = bytes;
	auth->signature = bytes + AT_SIGNATURE;
	auth->signature_len = size - CERTIFICATE_HEADER;
	auth->authentication = AT_LENGTH + size;
	if (!is_one_sequence(auth->signature, auth->signature_len))
		return err_set(err, EX_DATAERR, "%s has a signature that is not one DER sequence", name);
	return 0;
}

static int list_parse(const char *name, struct efi_auth *auth, struct err *err)
{
	size_t len = auth->len - auth->authentication;
	uint8_t *copy = len > 0 ? malloc(len) : NULL;

	if (len == 0)
		return err_set(err, EX_DATAERR, "%s has nothing behind its signature", name);
	if (!copy)
		return err_set(err, EX_SOFTWARE, "failed to read %s: out of memory", name);
	memcpy(copy, auth->bytes + auth->authentication, len);
	if (siglist_parse(name, copy, len, &auth->list, err) < 0)
		return -1;
	if (auth->list.count == 0)
		return err_set(err, EX_DATAERR, "%s has no signature in its lists", name);
	for (size_t i = 0; i < auth->list.count; i++)
		if (!(variables[auth->variable].kinds >> auth->list.entries[i].kind & 1))
			return err_set(err, EX_DATAERR, "%s has a kind of signature that no firmware looks for "
				       "in %s", name, efi_auth_name(auth->variable));
	return 0;
}

int efi_auth_parse(const char *name, enum efi_auth_variable variable, const uint8_t *bytes, size_t len,
		   struct efi_auth *ret_auth, struct err *err)
{
	struct efi_auth auth = { .variable = variable, .bytes = bytes, .len = len };

	if (header_parse(name, &auth, err) < 0)
		return -1;
	if (list_parse(name, &auth, err) < 0) {
		efi_auth_clear(&auth);
		return -1;
	}
	*ret_auth = auth;
	return 0;
}

void efi_auth_clear(struct efi_auth *auth)
{
	siglist_clear(&auth->list);
}

static bool is_same(const struct siglist_entry *a, const struct siglist_entry *b)
{
	return a->kind == b->kind && a->len == b->len && memcmp(a->data, b->data, a->len) == 0 &&
	       (!a->time || memcmp(a->time, b->time, SIGLIST_TIME_BYTES) == 0);
}

bool efi_auth_is_in(const struct efi_auth *auth, const struct siglist *variable)
{
	for (size_t i = 0; i < auth->list.count; i++) {
		size_t k = 0;

		while (k < variable->count && !is_same(&auth->list.entries[i], &variable->entries[k]))
			k++;
		if (k == variable->count)
			return false;
	}
	return true;
}
