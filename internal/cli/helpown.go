package cli

// This file has the help pages of the commands that the C tool does not have.
// They are not in the list of all commands.

func ownPages() []helpPage { return []helpPage{archivePushPage(), archiveGetPage()} }

var (
	optWALPath = helpOption{long: "wal-file-path=wal-file-path", text: []string{"the file as the server names it: %p"}}
	optWALName = helpOption{long: "wal-file-name=wal-file-name", text: []string{"the name alone: %f"}}
)

func archivePushPage() helpPage {
	return helpPage{
		command: archivePush,
		synopsis: same("-B backup-path --instance=instance_name",
			"--wal-file-path=%p --wal-file-name=%f",
			"[-j num-threads] [--batch-size=batch_size]",
			"[--compress] [--compress-level=compress-level]",
			"[--no-sync] [--no-ready-rename] [--overwrite]"),
		groups: []helpGroup{{options: []helpOption{
			optCatalog, optInstance("name of the instance"), optWALPath, optWALName, optThreads,
			{long: "batch-size=batch_size", text: []string{"files to archive with one call: this one and", "others that are ready (default: 1)"}},
			{long: "compress", text: []string{"compress segments with gzip"}},
			{long: "compress-level=compress-level", text: []string{"how hard to compress [0-9] (default: 1)"}},
			{long: "no-sync", text: []string{"do not sync archived files to disk"}},
			{long: "no-ready-rename", text: []string{"leave the marks of the batch's other files alone"}},
			{long: "overwrite", text: []string{"replace an archived file with other content"}},
		}}},
	}
}

func archiveGetPage() helpPage {
	return helpPage{
		command: archiveGet,
		synopsis: same("-B backup-path --instance=instance_name",
			"--wal-file-path=%p --wal-file-name=%f",
			"[-j num-threads] [--batch-size=batch_size]",
			"[--prefetch-dir=path] [--no-validate-wal] [--until=place]"),
		groups: []helpGroup{{options: []helpOption{
			optCatalog, optInstance("name of the instance"), optWALPath, optWALName, optThreads,
			{long: "batch-size=batch_size", text: []string{"segments to fetch with one call: this one and", "those behind it (default: 1)"}},
			{long: "prefetch-dir=path", text: []string{"where the further segments wait", "(default: pbk_prefetch beside the file)"}},
			{long: "no-validate-wal", text: []string{"do not read the records of segments"}},
			{long: "until=place", text: []string{"where recovery ends, as SEGMENT.OFFSET: damage", "behind it does not stop the server"}},
		}}},
	}
}
