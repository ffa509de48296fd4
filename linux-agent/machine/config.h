/* SPDX-License-Identifier: MIT */
/*
 * slotboot.conf: an INI file: /etc/slotboot/slotboot.conf, else that of /run/slotboot,
 * else that of /usr/lib/slotboot; then the drop-ins of the three, slotboot.conf.d/NAME.conf
 * (dropins.h), each of which may set keys anew.
 *
 *   [slotboot]
 *   compatible    what bundles must name; install needs it
 *   esp           where the ESP is mounted; default: the first of /efi,
 *                 /boot/efi, /boot that holds EFI/slotboot. Two, between blanks: of
 *                 mirrored disks
 *   esp-device    DISK:N, the GPT partition behind esp; default: found from esp. Of two
 *                 ESPs: two of them, or none
 *   keyring       PEM file of trusted signers; default /etc/slotboot/keyring.pem
 *   tries         tries of a trial, 1 to 255; default 3
 *   good-limit    boots of a good slot without mark-good, 0 to 255; default 0, off
 *   check         trial or always: which slots' UKIs the loader compares with the
 *                 digest in the record; default trial
 *   failover      same-boot or reset: how the loader goes on after an image that was
 *                 started and came back; default same-boot
 *   activation    loader or direct: whether the firmware starts the loader, or the slots'
 *                 own entries (direct.h); default loader. With direct a trial has one try,
 *                 whatever tries says
 *   shim          name of shim's file beside the loader, where the firmware starts that and shim
 *                 the loader; default: none
 *   loader-entries hidden or shown: whether the loader names the slots to systemd;
 *                 default hidden
 *   lock          default /run/slotboot/lock
 *   crl, crl-expired, signers, signing-time: of signatures; see struct cms_rules
 *   ca-file, pin, client-cert, client-key, token-file, header-file, proxy,
 *   redirects, connections, rate-limit, low-speed, low-speed-time: of https; see struct http_options
 *   sandbox       no, auto or require: whether what reads from a server has a process of
 *                 its own, without rights; default auto
 *   deadline      seconds for the whole transfer; default 3600
 *   health-timeout, health-settle, health-deadline, health-units, health-ignore:
 *                 of confirm; see health.h
 *   watchdog      trial, always or off: which boots the loader arms the hardware
 *                 watchdog for; default trial
 *   watchdog-timeout  seconds, 5 to 600; default 120
 *   kexec-kernel  file with the same bytes as the slot's .linux ({slot} is filled in),
 *   kexec-initrd  and with those of .ucode and .initrd: for LoadPin; default: copies in
 *                 memory, from the UKI
 *   install-program, install-program-timeout: of install; see install.h
 *   files         directory, on a file system that the systems of both slots mount, for the
 *                 files of a bundle: DIRECTORY/a and DIRECTORY/b
 *   sysroot       put before /proc and /sys; for dry runs and tests
 *
 *   [image NAME]  (rootfs, usr, ...; default: partitions slotboot-a and
 *   a, b          slotboot-b on the ESP's disk for rootfs)
 *                 block device or regular file of each slot
 */
#pragma once

#include "cage.h"
#include "cms.h"
#include "err.h"
#include "http_options.h"
#include "record.h"

#define CONFIG_NAME "slotboot.conf"
#define CONFIG_MAX_IMAGES 16

enum config_check {
	CONFIG_CHECK_TRIAL,
	CONFIG_CHECK_ALWAYS,
};

enum config_failover {
	CONFIG_FAILOVER_SAME_BOOT,
	CONFIG_FAILOVER_RESET,
};

enum config_entries {
	CONFIG_ENTRIES_HIDDEN,
	CONFIG_ENTRIES_SHOWN,
};

enum config_activation {
	CONFIG_ACTIVATION_LOADER,
	CONFIG_ACTIVATION_DIRECT,
};

enum config_watchdog {
	CONFIG_WATCHDOG_TRIAL,
	CONFIG_WATCHDOG_ALWAYS,
	CONFIG_WATCHDOG_OFF,
};

struct config_image {
	char *name;
	char *target[SLOT_COUNT];	/* both set after config_load() */
};

struct config {
	char *compatible;	/* or NULL */
	char *esp;		/* as it stands there, or NULL */
	char *esp_device;	/* the same */
	char *esps[RECORD_ESPS];	/* after config_load(): [0] NULL: look; [1] NULL: one */
	char *esp_devices[RECORD_ESPS];	/* NULL: look */
	char *keyring;
	char *lock;
	struct cms_rules rules;
	struct http_options http;
	char *kexec_kernel;	/* or NULL */
	char *kexec_initrd;	/* or NULL */
	char *sysroot;		/* "" by default */
	unsigned tries;
	unsigned good_limit;
	unsigned check;			/* enum config_check */
	unsigned failover;		/* enum config_failover */
	unsigned entries;		/* enum config_entries */
	unsigned activation;		/* enum config_activation */
	char *shim;			/* a file's name; or NULL */
	char *shim_path;		/* after config_load(): as boot entries have it; or NULL */
	unsigned deadline_s;
	unsigned sandbox;		/* enum sandbox: cage.h */
	unsigned verify_first;		/* of a web server: 0 or 1; install.h */
	char *spool;			/* directory for bundles on a web server: bundle_source.h */
	unsigned health_timeout_s, health_settle_s, health_deadline_s;
	char *health_units;		/* names between blanks; or NULL */
	char *health_ignore;		/* the same */
	char *install_program;		/* a full path; or NULL */
	unsigned install_program_s;
	char *files;			/* a full path; or NULL */
	unsigned watchdog;		/* enum config_watchdog */
	unsigned watchdog_s;
	struct config_image images[CONFIG_MAX_IMAGES];
	size_t image_count;
};

/* path: that file alone; NULL: the system's, none of which need be there. EX_CONFIG names
 * file, line and key, or says why a file cannot be read; EX_NOINPUT: path is missing. The
 * caller frees. */
int config_load(const char *path, struct config **ret_config, struct err *err);
/* The same of the system below root. */
int config_load_below(const char *root, const char *path, struct config **ret_config, struct err *err);
void config_free(struct config *config);
void config_freep(struct config **config);

/* good-limit, check, failover and loader-entries, by which the loader goes; settings_to_record() adds the watchdog. */
void config_to_record(const struct config *config, struct record *record);

/* NULL if there is none of that name. */
const struct config_image *config_image_find(const struct config *config, const char *name);
