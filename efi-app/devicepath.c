/* SPDX-License-Identifier: MIT */
#include "devicepath.h"

enum { NODE_HEADER = 4 };

/* In the last HD() node. */
const uint8_t *devicepath_guid(const EFI_DEVICE_PATH *path)
{
	const HARDDRIVE_DEVICE_PATH *found = NULL;

	for (const EFI_DEVICE_PATH *n = path; !IsDevicePathEnd(n); n = NextDevicePathNode(n))
		if (n->Type == MEDIA_DEVICE_PATH && n->SubType == MEDIA_HARDDRIVE_DP)
			found = (const HARDDRIVE_DEVICE_PATH *)n;
	return found && found->SignatureType == SIGNATURE_TYPE_GUID ? found->Signature : NULL;
}

static void node_put(uint8_t *p, uint8_t type, uint8_t subtype, size_t len)
{
	p[0] = type;
	p[1] = subtype;
	p[2] = (uint8_t)len;
	p[3] = (uint8_t)(len >> 8);
}

EFI_STATUS devicepath_of_file(const struct loader *l, const EFI_DEVICE_PATH *device,
			      const CHAR16 *name, size_t size, EFI_DEVICE_PATH **ret_path)
{
	size_t len = 0, node = NODE_HEADER + size;
	EFI_STATUS status;
	void *memory;
	uint8_t *p;

	for (const EFI_DEVICE_PATH *n = device; !IsDevicePathEnd(n); n = NextDevicePathNode(n))
		len += (size_t)DevicePathNodeLength(n);
	status = l->bs->AllocatePool(EfiLoaderData, len + node + NODE_HEADER, &memory);
	if (EFI_ERROR(status))
		return status;
	p = memory;
	for (size_t i = 0; i < len; i++)
		p[i] = ((const uint8_t *)device)[i];
	node_put(p + len, MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, node);
	for (size_t i = 0; i < size; i++)
		p[len + NODE_HEADER + i] = ((const uint8_t *)name)[i];
	node_put(p + len + node, END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE,
		 NODE_HEADER);
	*ret_path = memory;
	return EFI_SUCCESS;
}
