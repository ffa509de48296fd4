/* SPDX-License-Identifier: MIT */
#include "bundle.h"

#include "chunk_decode.h"
#include "io.h"

int bundle_dictionary(struct bundle *bundle, const struct payload *payload,
		      struct chunkdict **ret_dict, struct err *err)
{
	const struct pinned_entry *p = &payload->blocks.dictionary;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	*ret_dict = NULL;
	if (!p->file)
		return 0;
	if (bundle_pinned(bundle, p, &data, &len, err) < 0)
		return -1;
	if (chunkdict_new(p->file, data, len, ret_dict, err) < 0)
		return bundle_prefix(bundle, err);
	return 0;
}
