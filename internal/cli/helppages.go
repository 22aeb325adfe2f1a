package cli

import (
	"slices"

	"gsprobackup/internal/compat"
)

// Titles of the option groups.
const (
	titleRecovery    = "Recovery"
	titleRemote      = "Remote"
	titleS3          = "S3"
	titleDSS         = "DSS"
	titleLogging     = "Logging"
	titleRetention   = "Retention"
	titleCompression = "Compression"
	titleConnection  = "Connection"
	titlePinning     = "Pinning"
)

// helpPages are the pages in the order of the general list.
func helpPages(p compat.Profile) []helpPage {
	return []helpPage{
		initPage(),
		addInstancePage(p),
		delInstancePage(p),
		setConfigPage(p),
		setBackupPage(p),
		showConfigPage(p),
		showPage(p),
		backupPage(p),
		restorePage(p),
		mergePage(),
		deletePage(p),
		validatePage(p),
	}
}

func initPage() helpPage {
	return helpPage{
		command:  "init",
		synopsis: same("-B backup-path"),
		groups:   []helpGroup{{options: []helpOption{optCatalog}}},
	}
}

func addInstancePage(p compat.Profile) helpPage {
	return helpPage{
		command: "add-instance",
		synopsis: slices.Concat(same("-B backup-path -D pgdata-path --instance=instance_name",
			"[-E external-directories-paths]"),
			pageRemoteSynopsis(p), s3Synopsis(p), dssSynopsis(p)),
		groups: groups(
			helpGroup{options: []helpOption{optCatalog, optData, optInstance("name for the new instance"), optExternal}},
			remoteGroup(p), s3Group(p), dssGroup(p, true)),
	}
}

func delInstancePage(p compat.Profile) helpPage {
	return helpPage{
		command:  "del-instance",
		synopsis: slices.Concat(same("-B backup-path --instance=instance_name"), s3Synopsis(p)),
		groups: groups(
			helpGroup{options: []helpOption{optCatalog, optInstance("name of the instance to remove")}},
			s3Group(p)),
	}
}

func setConfigPage(p compat.Profile) helpPage {
	return helpPage{
		command: "set-config",
		synopsis: slices.Concat(same("-B backup-path --instance=instance_name",
			"[-D pgdata-path] [-E external-directories-paths]",
			"[--archive-timeout=timeout]",
			"[--retention-redundancy=retention-redundancy]",
			"[--retention-window=retention-window]",
			"[--wal-depth=wal-depth]",
			"[--compress-algorithm=compress-algorithm]",
			"[--compress-level=compress-level]",
			"[-d dbname] [-h host] [-p port] [-U username]"),
			logSynopsis(), setConfigRemoteSynopsis(p), s3Synopsis(p), dssSynopsis(p)),
		groups: groups(
			helpGroup{options: []helpOption{optCatalog, optInstance("name of the instance"), optData, optExternal, optArchiveTimeout}},
			retentionGroup(false), compressionGroup(p, false), connectionGroup(false),
			loggingGroup(), remoteGroup(p), s3Group(p), dssGroup(p, true)),
	}
}

func setBackupPage(p compat.Profile) helpPage {
	options := []helpOption{optCatalog, optInstance("name of the instance"), optID("backup to change"), optNote("note for the backup; 'none' removes it")}
	page := helpPage{
		command: "set-backup",
		synopsis: slices.Concat(same("-B backup-path --instance=instance_name -i backup-id",
			"[--note=text] [--ttl=interval] [--expire-time=time]"),
			s3Synopsis(p)),
		groups: groups(helpGroup{options: append(options, pinning()...)}),
	}
	if p.S3 {
		page.synopsis = append(page.synopsis, same("[--s3-status=s3|local]")...)
		s3 := s3Group(p)
		s3.options = append(s3.options, helpOption{long: "s3-status", text: []string{"where the backup is kept"}})
		page.groups = append(page.groups, s3)
	}
	return page
}

func showConfigPage(p compat.Profile) helpPage {
	return helpPage{
		command: "show-config",
		synopsis: slices.Concat(same("-B backup-path --instance=instance_name"),
			[]synopsisLine{{text: "[--format=format]", general: "[--format=plain|json]"}},
			s3Synopsis(p)),
		groups: groups(
			helpGroup{options: []helpOption{optCatalog, optInstance("name of the instance"), optFormat}},
			s3Group(p)),
	}
}

func showPage(p compat.Profile) helpPage {
	page := helpPage{
		command: "show",
		synopsis: []synopsisLine{
			{text: "-B backup-path"},
			{text: "[--instance=instance_name [-i backup-id]]"},
			{text: "[--archive] [--format=format]", general: "[--archive] [--format=plain|json]"},
		},
		groups: groups(
			helpGroup{options: []helpOption{
				optCatalog, optInstance("show this instance only"), optID("show the details of this backup"),
				{long: "archive", text: []string{"show the WAL archive"}},
				optFormat,
			}},
			s3Group(p)),
	}
	if p.S3 {
		page.synopsis = append(page.synopsis, synopsisLine{pageOnly: true})
		page.synopsis = append(page.synopsis, s3Synopsis(p)...)
	}
	return page
}

func backupPage(p compat.Profile) helpPage {
	options := []helpOption{
		optCatalog, optInstance("name of the instance"),
		{short: 'b', long: "backup-mode=backup-mode", text: []string{"kind of backup: FULL|PTRACK"}},
		optData,
		{short: 'C', long: "smooth-checkpoint", text: []string{"spread the checkpoint before the backup over time"}},
		{short: 'S', long: "slot=slot-name", text: []string{"replication slot to stream from"}},
		{long: "temp-slot", text: []string{"use a slot that exists during the backup only"}},
		{long: "backup-pg-log", text: []string{"include the 'pg_log' directory"}},
		optThreads,
	}
	timeoutLine := same()
	if p.RWTimeout {
		options = append(options, helpOption{short: 't', long: "rw-timeout=rw-timeout", text: []string{"time limit in seconds for an idle connection"}})
		timeoutLine = []synopsisLine{{text: "[-t rw-timeout]", general: "[-t rwtimeout]"}}
	}
	options = append(options,
		optProgress,
		helpOption{long: "no-validate", text: []string{"do not validate the backup afterwards"}},
		optSkipBlocks, optExternal,
		helpOption{long: "no-sync", text: []string{"do not flush the backup to disk"}},
		optNote("note for the backup"), optArchiveTimeout)
	replslotLine := same()
	if p.Replslot {
		// The bracket is the C tool's.
		options = append(options, helpOption{long: "backup-pg-replslot]", text: []string{"include the 'pg_replslot' directory"}})
		replslotLine = same("[--backup-pg-replslot]")
		if p.CrookedHelp {
			replslotLine = []synopsisLine{{pageOnly: true}, {text: "[--backup-pg-replslot]", last: true}}
		}
	}
	return helpPage{
		command: "backup",
		synopsis: slices.Concat(same("-B backup-path --instance=instance_name -b backup-mode",
			"[-D pgdata-path] [-C] [-S slot-name] [--temp-slot]",
			"[--backup-pg-log] [-j threads_num] [--progress]",
			"[--no-validate] [--skip-block-validation]",
			"[-E external-directories-paths]",
			"[--no-sync] [--note=text]",
			"[--archive-timeout=timeout]"),
			logSynopsis(),
			same("[--delete-expired] [--delete-wal] [--merge-expired]",
				"[--retention-redundancy=retention-redundancy]",
				"[--retention-window=retention-window]",
				"[--wal-depth=wal-depth] [--dry-run]",
				"[--compress-algorithm=compress-algorithm]",
				"[--compress-level=compress-level]",
				"[--compress]",
				"[-d dbname] [-h host] [-p port] [-U username] [-w] [-W password]"),
			timeoutLine,
			remoteSynopsis(p), s3Synopsis(p), dssSynopsis(p),
			same("[--ttl=interval] [--expire-time=time]"),
			replslotLine),
		groups: groups(
			helpGroup{options: options},
			loggingGroup(), retentionGroup(true, " after a good backup"),
			compressionGroup(p, true), connectionGroup(true),
			remoteGroup(p), s3Group(p), dssGroup(p, false),
			helpGroup{title: titlePinning, options: pinning()}),
	}
}

func restorePage(p compat.Profile) helpPage {
	return helpPage{
		command: "restore",
		synopsis: slices.Concat(same("-B backup-path --instance=instance_name",
			"[-D pgdata-path] [-i backup-id] [-j threads_num] [--progress]",
			"[--force] [--no-sync] [--no-validate] [--skip-block-validation]",
			"[--external-mapping=OLDDIR=NEWDIR] [-T OLDDIR=NEWDIR]",
			"[--skip-external-dirs] [-I incremental_mode]"),
			targetSynopsis(), remoteSynopsis(p), s3Synopsis(p), dssSynopsis(p), logSynopsis()),
		groups: groups(
			helpGroup{options: []helpOption{
				optCatalog, optInstance("name of the instance"), optData, optID("backup to restore"),
				optThreads, optProgress,
				{long: "force", text: []string{"restore the backup even if it is not valid"}},
				{long: "no-sync", text: []string{"do not flush the restored files to disk"}},
				{long: "no-validate", text: []string{"do not validate the backup first"}},
				optSkipBlocks,
				{long: "external-mapping=OLDDIR=NEWDIR", text: []string{"put the external directory OLDDIR at NEWDIR"}},
				{short: 'T', long: "tablespace-mapping=OLDDIR=NEWDIR", text: []string{"put the tablespace of directory OLDDIR at NEWDIR"}},
				{long: "skip-external-dirs", text: []string{"leave the external directories out"}},
				{short: 'I', long: "incremental-mode=none|checksum|lsn", text: []string{"keep pages of PGDATA that are still right", "(default: none)"}},
			}},
			recoveryGroup(), remoteGroup(p), s3Group(p), dssGroup(p, false), loggingGroup()),
	}
}

func mergePage() helpPage {
	return helpPage{
		command: "merge",
		synopsis: slices.Concat(same("-B backup-path --instance=instance_name -i backup-id",
			"[-j threads_num] [--progress]"), logSynopsis()),
		groups: groups(
			helpGroup{options: []helpOption{
				optCatalog, optInstance("name of the instance"), optID("backup to merge"), optThreads, optProgress,
			}},
			loggingGroup()),
	}
}

func deletePage(p compat.Profile) helpPage {
	return helpPage{
		command: "delete",
		synopsis: slices.Concat(same("-B backup-path --instance=instance_name",
			"[-i backup-id | --delete-expired | --merge-expired | --status=backup_status]",
			"[--delete-wal] [-j threads_num] [--progress]",
			"[--retention-redundancy=retention-redundancy]",
			"[--retention-window=retention-window]",
			"[--wal-depth=wal-depth] [--dry-run]"),
			logSynopsis(), s3Synopsis(p)),
		groups: groups(
			helpGroup{options: []helpOption{
				optCatalog, optInstance("name of the instance"), optID("backup to delete"),
				{long: "status=backup_status", text: []string{"delete all backups of this status"}},
				optThreads, optProgress,
			}},
			retentionGroup(true), loggingGroup(), s3Group(p)),
	}
}

func validatePage(p compat.Profile) helpPage {
	return helpPage{
		command: "validate",
		synopsis: slices.Concat(same("-B backup-path",
			"[--instance=instance_name] [-i backup-id]"),
			[]synopsisLine{{
				text:    "[-j threads_num] [--progress] [--skip-block-validation]",
				general: "[-j threads-num] [--progress] [--skip-block-validation]",
			}},
			targetSynopsis(), logSynopsis(), s3Synopsis(p)),
		groups: groups(
			helpGroup{options: []helpOption{
				optCatalog, optInstance("name of the instance"), optID("backup to validate"),
				optThreads, optProgress, optSkipBlocks,
			}},
			recoveryGroup(), loggingGroup(), s3Group(p)),
	}
}

// groups drops the groups a release does not have.
func groups(all ...helpGroup) []helpGroup {
	return slices.DeleteFunc(all, func(g helpGroup) bool { return len(g.options) == 0 })
}
