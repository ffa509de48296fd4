/* SPDX-License-Identifier: MIT */
/*
 * Can the running kernel's kexec_file_load(2) start this image, does the command line fit,
 * and is there enough memory? The rules are those of Linux 6.1 to 6.12: bzImage64_probe()
 * and bzImage64_load(), arm64's image_probe(), and sanity_check_segment_list(). On arm64 none
 * unpacks a zboot image; patches to that end were in review in March 2026.
 */
#include "preflight_check.h"
#include "io.h"

#include <errno.h>
#include <string.h>

enum {
	PROTOCOL_MIN = 0x020c,
	BOOT_FLAG = 0xaa55,
};

static const uint64_t page = 4096, mib = 1024 * 1024;

static bool is_x86(const struct preflight_context *ctx)
{
	return ctx->input->uki->image.machine == PE_MACHINE_X86_64;
}

void check_architecture(const struct preflight_context *ctx, struct preflight_finding *f)
{
	struct err err = { 0 };

	if (ukifile_check(ctx->input->uki, &err) < 0)
		finding_set(f, PREFLIGHT_FAIL, ENOEXEC, "install a bundle for this machine", "%s",
			    err.text);
	else
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "it is a UKI for this machine's "
			    "architecture; its .linux has %llu bytes",
			    (unsigned long long)ctx->linux.size);
}

/* The running kernel would enter the new one with five-level paging enabled. */
static enum preflight_verdict five_levels(const struct preflight_context *ctx)
{
	_cleanup_free_ char *cpuinfo = NULL;

	if (ctx->kernel.xloadflags & KERNEL_IMAGE_XLF_5LEVEL)
		return PREFLIGHT_PASS;
	cpuinfo = fact_read(ctx, "/proc/cpuinfo");
	if (cpuinfo && !strstr(cpuinfo, " la57"))
		return PREFLIGHT_PASS;
	switch (fact_config(ctx, "CONFIG_X86_5LEVEL")) {
	case FACT_CONFIG_NO:
		return PREFLIGHT_PASS;
	case FACT_CONFIG_YES:
		return cpuinfo ? PREFLIGHT_FAIL : PREFLIGHT_UNKNOWN;
	default:
		return PREFLIGHT_UNKNOWN;
	}
}

/* The first objection that bzImage64_probe() would have, or NULL. */
static const char *x86_objection(const struct preflight_context *ctx)
{
	const struct kernel_image *k = &ctx->kernel;
	long platform;

	if (k->boot_flag != BOOT_FLAG)
		return "its setup header has no boot flag 0xaa55";
	if (k->protocol < PROTOCOL_MIN)
		return "its boot protocol is older than 2.12";
	if (!k->loaded_high)
		return "it is a zImage, not a bzImage";
	if (!(k->xloadflags & KERNEL_IMAGE_XLF_64BIT))
		return "it has no 64-bit entry point";
	if (!(k->xloadflags & KERNEL_IMAGE_XLF_ABOVE_4G))
		return k->relocatable ? "it cannot be loaded above 4 GiB"
				      : "it is not relocatable, so it cannot be loaded above 4 GiB";
	if (k->setup_bytes > ctx->linux.size)
		return "it is shorter than its own setup code";
	if (fact_number(ctx, "/sys/firmware/efi/fw_platform_size", &platform) && platform == 32)
		return "the machine's EFI is 32-bit, and the running kernel refuses then";
	return NULL;
}

static void x86_format(const struct preflight_context *ctx, struct preflight_finding *f)
{
	const struct kernel_image *k = &ctx->kernel;
	const char *objection = x86_objection(ctx);
	enum preflight_verdict levels = five_levels(ctx);

	if (objection)
		finding_set(f, PREFLIGHT_FAIL, ENOEXEC, "build the UKI from an x86-64 bzImage that "
			    "a distribution's configuration made, or go through the firmware: "
			    "--activate=reboot", ".linux: %s (protocol %u.%u)", objection,
			    k->protocol >> 8, k->protocol & 0xff);
	else if (levels != PREFLIGHT_PASS)
		finding_set(f, levels, ENOEXEC, "build the kernel with CONFIG_X86_5LEVEL=y, or boot "
			    "the running one with no5lvl", ".linux cannot be entered with five-level "
			    "paging on, %s", levels == PREFLIGHT_FAIL ?
			    "as the running kernel has it" : "and whether the running kernel has it "
			    "on cannot be seen");
	else
		finding_set(f, PREFLIGHT_PASS, 0, NULL, ".linux is a bzImage of boot protocol "
			    "%u.%u, %srelocatable, with a 64-bit entry, loadable above 4 GiB",
			    k->protocol >> 8, k->protocol & 0xff, k->relocatable ? "" : "not ");
}

void check_format(const struct preflight_context *ctx, struct preflight_finding *f)
{
	switch (ctx->kernel.format) {
	case KERNEL_IMAGE_X86:
		if (!is_x86(ctx))
			break;
		x86_format(ctx, f);
		return;
	case KERNEL_IMAGE_ARM64:
		if (is_x86(ctx))
			break;
		finding_set(f, PREFLIGHT_PASS, 0, NULL, ".linux is an arm64 Image, not compressed");
		return;
	case KERNEL_IMAGE_ZBOOT:
		finding_set(f, PREFLIGHT_FAIL, is_x86(ctx) ? ENOEXEC : EINVAL,
			    "build the UKI from arch/arm64/boot/Image (CONFIG_EFI_ZBOOT=n), or go "
			    "through the firmware: --activate=reboot", ".linux is an EFI zboot "
			    "image: a compressed kernel, which kexec_file_load cannot unpack");
		return;
	default:
		break;
	}
	finding_set(f, PREFLIGHT_FAIL, is_x86(ctx) ? ENOEXEC : EINVAL, "build the UKI from a "
		    "kernel for this architecture", ".linux is not a kernel the running one can "
		    "start: it has no %s", is_x86(ctx) ? "setup header of x86" : "header of an "
		    "arm64 Image");
}

/* The kernel counts the NUL, so a line of cmdline_size bytes is one too long. */
void check_cmdline(const struct preflight_context *ctx, struct preflight_finding *f)
{
	static const char fix[] = "shorten the UKI's .cmdline";
	size_t len = strlen(ctx->input->cmdline);
	uint32_t most = kernel_image_cmdline_max(&ctx->kernel);

	if (most && len + 1 > most)
		finding_set(f, PREFLIGHT_FAIL, EINVAL, fix, "the command line has %zu bytes with "
			    "slotboot.slot= and slotboot.nonce=; the new kernel takes at most %u",
			    len, most - 1);
	else if (most)
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "the command line has %zu bytes of at most "
			    "%u", len, most - 1);
	else
		finding_set(f, PREFLIGHT_UNKNOWN, EINVAL, fix, "the command line has %zu bytes; "
			    ".linux does not say how many it takes", len);
}

/* Memory that the new kernel occupies where it runs. */
static uint64_t kernel_memory(const struct preflight_context *ctx)
{
	const struct kernel_image *k = &ctx->kernel;
	uint64_t file = ctx->linux.size;

	if (k->format == KERNEL_IMAGE_X86)
		file -= k->setup_bytes < file ? k->setup_bytes : file;
	return k->memory > file ? k->memory : file;
}

/* Finds a line of /proc/meminfo, and converts its kB to bytes. */
static bool meminfo(const char *text, const char *name, uint64_t *ret_bytes)
{
	const char *line = text ? strstr(text, name) : NULL;
	unsigned long long kib;

	if (!line || sscanf(line + strlen(name), " %llu kB", &kib) != 1 || kib > UINT64_MAX / 1024)
		return false;
	*ret_bytes = kib * 1024;
	return true;
}

static uint64_t pages(uint64_t bytes)
{
	return bytes / page + (bytes % page != 0);
}

/* Neither one segment nor all together may exceed half of memory. The kernel's size is 64 bits from
 * the image, so it is compared alone before anything is added to it. */
void check_segments(const struct preflight_context *ctx, struct preflight_finding *f)
{
	static const char fix[] = "make kernel or initrd smaller, or go through the firmware: "
				  "--activate=reboot";
	_cleanup_free_ char *text = fact_read(ctx, "/proc/meminfo");
	uint64_t kernel = kernel_memory(ctx), initrd = ctx->input->initrd_size, total;

	if (!meminfo(text, "MemTotal:", &total)) {
		finding_set(f, PREFLIGHT_UNKNOWN, EINVAL, "mount /proc", "/proc/meminfo does not "
			    "tell how much memory there is");
		return;
	}
	if (pages(kernel) > pages(total) / 2 || pages(initrd) > pages(total) / 2 ||
	    pages(kernel) + pages(initrd) > pages(total) / 2)
		finding_set(f, PREFLIGHT_FAIL, EINVAL, fix, "the kernel takes up %llu MiB and the "
			    "initrd %llu MiB: more than half of the machine's %llu MiB, where the "
			    "running kernel refuses", (unsigned long long)(kernel / mib),
			    (unsigned long long)(initrd / mib), (unsigned long long)(total / mib));
	else
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "the kernel takes up %llu MiB and the "
			    "initrd %llu MiB, of at most %llu (half of memory)",
			    (unsigned long long)(kernel / mib), (unsigned long long)(initrd / mib),
			    (unsigned long long)(total / 2 / mib));
}

/* During the load, memory holds the staged files, the kernel's copies of them, and the segments. */
void check_memory(const struct preflight_context *ctx, struct preflight_finding *f)
{
	static const char fix[] = "stop what uses memory, or go through the firmware: "
				  "--activate=reboot";
	_cleanup_free_ char *text = fact_read(ctx, "/proc/meminfo");
	uint64_t files = ctx->linux.size + ctx->input->initrd_size, need, free_now, swap = 0;

	if (!meminfo(text, "MemAvailable:", &free_now)) {
		finding_set(f, PREFLIGHT_UNKNOWN, ENOMEM, "mount /proc", "/proc/meminfo does not "
			    "tell how much memory is free");
		return;
	}
	(void)meminfo(text, "SwapFree:", &swap);
	if (__builtin_add_overflow(2 * files + ctx->input->initrd_size, kernel_memory(ctx), &need))
		need = UINT64_MAX;
	if (need <= free_now)
		finding_set(f, PREFLIGHT_PASS, 0, NULL, "the load takes %llu MiB; %llu MiB are "
			    "available", (unsigned long long)(need / mib),
			    (unsigned long long)(free_now / mib));
	else
		finding_set(f, need - free_now > swap ? PREFLIGHT_FAIL : PREFLIGHT_UNKNOWN, ENOMEM,
			    fix, "the load takes %llu MiB for a moment; %llu MiB are available%s",
			    (unsigned long long)(need / mib), (unsigned long long)(free_now / mib),
			    need - free_now > swap ? "" : ", and more if others go to swap");
}
