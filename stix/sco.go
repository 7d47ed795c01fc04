package stix

import "bytes"

// scos are the STIX cyber-observable objects (STIX 2.1 §6).
func scos() []objectType {
	return []objectType{
		artifact(), autonomousSystem(), directory(), domainName(), emailAddr(), emailMessage(), file(), ipv4Addr(),
		ipv6Addr(), macAddr(), mutex(), networkTraffic(), process(), software(), urlObject(), userAccount(),
		windowsRegistryKey(), x509Certificate(),
	}
}

func artifact() objectType {
	const clause = "STIX 2.1 §6.1.1"
	return objectType{name: "artifact", kind: sco, contributing: []string{"hashes", "payload_bin"}, table: table{
		clause: clause,
		rows: []row{
			optional("mime_type", text, shouldBeMediaType),
			optional("payload_bin", binary),
			optional("url", url, with(clause, "hashes")),
			optional("hashes", hashes),
			optional("encryption_algorithm", encryptionAlgorithm()),
			optional("decryption_key", text, with(clause, "encryption_algorithm")),
		},
		rules: []rule{justOne("STIX 2.1 §6.1", "payload_bin", "url")},
	}}
}

func autonomousSystem() objectType {
	return objectType{name: "autonomous-system", kind: sco, contributing: []string{"number"}, table: table{
		clause: "STIX 2.1 §6.2.1",
		rows: []row{
			required("number", integer),
			optional("name", text),
			optional("rir", text),
		},
	}}
}

func directory() objectType {
	return objectType{name: "directory", kind: sco, contributing: []string{"path"}, table: table{
		clause: "STIX 2.1 §6.3.1",
		rows: []row{
			required("path", text),
			optional("path_enc", characterSet, with("STIX 2.1 §3.1", "path")),
			optional("ctime", timestamp),
			optional("mtime", timestamp),
			optional("atime", timestamp),
			optional("contains_refs", list(ref("file", "directory"))),
		},
	}}
}

func domainName() objectType {
	return objectType{name: "domain-name", kind: sco, contributing: []string{"value"}, table: table{
		clause: "STIX 2.1 §6.4.1",
		rows: []row{
			required("value", domain),
			optional("resolves_to_refs", list(ref("ipv4-addr", "ipv6-addr", "domain-name"))),
		},
	}}
}

func emailAddr() objectType {
	return objectType{name: "email-addr", kind: sco, contributing: []string{"value"}, table: table{
		clause: "STIX 2.1 §6.5.1",
		rows: []row{
			required("value", mailbox),
			optional("display_name", text, shouldBeDecoded),
			optional("belongs_to_ref", ref("user-account")),
		},
	}}
}

func emailMessage() objectType {
	const clause = "STIX 2.1 §6.6.1"
	return objectType{name: "email-message", kind: sco, contributing: []string{"from_ref", "subject", "body"}, table: table{
		clause: clause,
		rows: []row{
			required("is_multipart", boolean),
			optional("date", timestamp),
			optional("content_type", text),
			optional("from_ref", ref("email-addr")),
			optional("sender_ref", ref("email-addr")),
			optional("to_refs", list(ref("email-addr"))),
			optional("cc_refs", list(ref("email-addr"))),
			optional("bcc_refs", list(ref("email-addr"))),
			optional("message_id", text),
			optional("subject", text, shouldBeDecoded),
			optional("received_lines", list(text)),
			optional("additional_header_fields", dictionary(headerField(clause)), shouldBeDecoded),
			optional("body", text, notWhen(clause, "is_multipart", true)),
			optional("body_multipart", list(structure(emailMIMEPart())), notWhen(clause, "is_multipart", false)),
			optional("raw_email_ref", ref("artifact")),
		},
	}}
}

// emailMIMEPart is the table of STIX 2.1 §6.6.2.
func emailMIMEPart() table {
	return table{
		clause: "STIX 2.1 §6.6.2",
		rows: []row{
			optional("body", text),
			optional("body_raw_ref", ref("artifact", "file")),
			optional("content_type", text),
			optional("content_disposition", text, shouldBeDecoded),
		},
		rules: []rule{oneOf("STIX 2.1 §6.6.2", "body", "body_raw_ref")},
	}
}

// shouldBeDecoded warns of strings, in lists and dictionaries as well, that are
// header field values in the encoding of RFC 2047 §2. What is decoded once may
// still look so, so that it cannot be refused.
func shouldBeDecoded(c *checker, _, v Value) {
	if c.options.ErrorsOnly {
		return
	}
	for i := v.i; i < v.node().next; i++ {
		if e := (Value{v.d, i}); hasEncodedWord(e.inside()) {
			c.warn(e, "STIX 2.1 §6.6", "encoded words (RFC 2047) should have been decoded")
		}
	}
}

// hasEncodedWord looks for "=?charset?encoding?text?=" (RFC 2047 §2).
func hasEncodedWord(s []byte) bool {
	for {
		_, rest, found := bytes.Cut(s, []byte("=?"))
		if !found {
			return false
		}
		charset, word, found := bytes.Cut(rest, []byte("?"))
		if found && len(charset) > 0 && len(word) > 2 && word[1] == '?' && (word[0]|0x20 == 'q' || word[0]|0x20 == 'b') &&
			bytes.Contains(word[2:], []byte("?=")) {
			return true
		}
		s = rest
	}
}

func file() objectType {
	const clause = "STIX 2.1 §6.7.1"
	return objectType{
		name: "file", kind: sco,
		contributing: []string{"hashes", "name", "extensions", "parent_directory_ref"},
		extensions: map[string]check{
			"archive-ext":          structure(archiveExt()),
			"ntfs-ext":             structure(ntfsExt()),
			"pdf-ext":              structure(pdfExt()),
			"raster-image-ext":     structure(rasterImageExt()),
			"windows-pebinary-ext": structure(windowsPEBinaryExt()),
		},
		table: table{
			clause: clause,
			rows: []row{
				optional("hashes", hashes),
				optional("size", notNegative(clause)),
				optional("name", text),
				optional("name_enc", characterSet, with("STIX 2.1 §3.1", "name")),
				optional("magic_number_hex", hexadecimal),
				optional("mime_type", text, shouldBeMediaType),
				optional("ctime", timestamp),
				optional("mtime", timestamp),
				optional("atime", timestamp),
				optional("parent_directory_ref", ref("directory")),
				optional("contains_refs", list(anyObservable())),
				optional("content_ref", ref("artifact")),
			},
			rules: []rule{oneOf("STIX 2.1 §6.7", "hashes", "name")},
		},
	}
}

func ipv4Addr() objectType {
	return objectType{name: "ipv4-addr", kind: sco, contributing: []string{"value"}, table: table{
		clause: "STIX 2.1 §6.8.1",
		rows: []row{
			required("value", ipv4),
			optional("resolves_to_refs", list(ref("mac-addr"))),
			optional("belongs_to_refs", list(ref("autonomous-system"))),
		},
	}}
}

func ipv6Addr() objectType {
	return objectType{name: "ipv6-addr", kind: sco, contributing: []string{"value"}, table: table{
		clause: "STIX 2.1 §6.9.1",
		rows: []row{
			required("value", ipv6),
			optional("resolves_to_refs", list(ref("mac-addr"))),
			optional("belongs_to_refs", list(ref("autonomous-system"))),
		},
	}}
}

func macAddr() objectType {
	return objectType{name: "mac-addr", kind: sco, contributing: []string{"value"}, table: table{
		clause: "STIX 2.1 §6.10.1",
		rows:   []row{required("value", mac)},
	}}
}

func mutex() objectType {
	return objectType{name: "mutex", kind: sco, contributing: []string{"name"}, table: table{
		clause: "STIX 2.1 §6.11.1",
		rows:   []row{required("name", text)},
	}}
}

func networkTraffic() objectType {
	const clause = "STIX 2.1 §6.12.1"
	end := ref("ipv4-addr", "ipv6-addr", "mac-addr", "domain-name")
	port := integerIn(0, 65535, clause)
	return objectType{
		name: "network-traffic", kind: sco,
		contributing: []string{"start", "end", "src_ref", "dst_ref", "src_port", "dst_port", "protocols", "extensions"},
		extensions: map[string]check{
			"http-request-ext": structure(httpRequestExt()),
			"icmp-ext":         structure(icmpExt()),
			"socket-ext":       structure(socketExt()),
			"tcp-ext":          structure(tcpExt()),
		},
		table: table{
			clause: clause,
			rows: []row{
				optional("start", timestamp),
				optional("end", timestamp, notWhen(clause, "is_active", true), notBefore("start", clause)),
				optional("is_active", boolean),
				optional("src_ref", end),
				optional("dst_ref", end),
				optional("src_port", port),
				optional("dst_port", port),
				required("protocols", list(text), shouldBeProtocols),
				optional("src_byte_count", notNegative(clause)),
				optional("dst_byte_count", notNegative(clause)),
				optional("src_packets", notNegative(clause)),
				optional("dst_packets", notNegative(clause)),
				optional("ipfix", dictionary(integerOrText), shouldHaveKeys(clause, isIPFIX)),
				optional("src_payload_ref", ref("artifact")),
				optional("dst_payload_ref", ref("artifact")),
				optional("encapsulates_refs", list(ref("network-traffic"))),
				optional("encapsulated_by_ref", ref("network-traffic")),
			},
			rules: []rule{oneOf("STIX 2.1 §6.12", "src_ref", "dst_ref"), should("STIX 2.1 §6.12", "src_port", "dst_port"), shouldListProtocols},
		},
	}
}

func process() objectType {
	const clause = "STIX 2.1 §6.13.1"
	rows := []row{
		optional("is_hidden", boolean),
		optional("pid", integer),
		optional("created_time", timestamp),
		optional("cwd", text),
		optional("command_line", text),
		optional("environment_variables", dictionary(text)),
		optional("opened_connection_refs", list(ref("network-traffic"))),
		optional("creator_user_ref", ref("user-account")),
		optional("image_ref", ref("file")),
		optional("parent_ref", ref("process")),
		optional("child_refs", list(ref("process"))),
	}
	return objectType{
		name: "process", kind: sco,
		extensions: map[string]check{
			"windows-process-ext": structure(windowsProcessExt()),
			"windows-service-ext": structure(windowsServiceExt()),
		},
		table: table{
			clause: clause,
			rows:   rows,
			rules:  []rule{anyRow("STIX 2.1 §6.13", append([]row{{name: "extensions"}}, rows...))},
		},
	}
}

func software() objectType {
	return objectType{name: "software", kind: sco, contributing: []string{"name", "cpe", "swid", "vendor", "version"}, table: table{
		clause: "STIX 2.1 §6.14.1",
		rows: []row{
			required("name", text),
			optional("cpe", cpe),
			optional("swid", text),
			optional("languages", list(languageTag)),
			optional("vendor", text),
			optional("version", text),
		},
	}}
}

func urlObject() objectType {
	return objectType{name: "url", kind: sco, contributing: []string{"value"}, table: table{
		clause: "STIX 2.1 §6.15.1",
		rows:   []row{required("value", url)},
	}}
}

func userAccount() objectType {
	rows := []row{
		optional("user_id", text),
		optional("credential", text),
		optional("account_login", text),
		optional("account_type", accountType()),
		optional("display_name", text),
		optional("is_service_account", boolean),
		optional("is_privileged", boolean),
		optional("can_escalate_privs", boolean),
		optional("is_disabled", boolean),
		optional("account_created", timestamp),
		optional("account_expires", timestamp),
		optional("credential_last_changed", timestamp),
		optional("account_first_login", timestamp),
		optional("account_last_login", timestamp),
	}
	return objectType{
		name: "user-account", kind: sco,
		contributing: []string{"account_type", "user_id", "account_login"},
		extensions:   map[string]check{"unix-account-ext": structure(unixAccountExt())},
		table: table{
			clause: "STIX 2.1 §6.16.1",
			rows:   rows,
			rules:  []rule{anyRow("STIX 2.1 §6.16", append([]row{{name: "extensions"}}, rows...))},
		},
	}
}

func windowsRegistryKey() objectType {
	rows := []row{
		optional("key", registryKey),
		optional("values", list(structure(windowsRegistryValue()))),
		optional("modified_time", timestamp),
		optional("creator_user_ref", ref("user-account")),
		optional("number_of_subkeys", integer),
	}
	return objectType{name: "windows-registry-key", kind: sco, contributing: []string{"key", "values"}, table: table{
		clause: "STIX 2.1 §6.17.1",
		rows:   rows,
		rules:  []rule{anyRow("STIX 2.1 §6.17", rows)},
	}}
}

// windowsRegistryValue is the table of STIX 2.1 §6.17.2.
func windowsRegistryValue() table {
	rows := []row{
		optional("name", text),
		optional("data", text),
		optional("data_type", windowsRegistryDatatype()),
	}
	return table{clause: "STIX 2.1 §6.17.2", rows: rows, rules: []rule{anyRow("STIX 2.1 §6.17.2", rows)}}
}

func x509Certificate() objectType {
	rows := []row{
		optional("is_self_signed", boolean),
		optional("hashes", hashes),
		optional("version", text),
		optional("serial_number", text),
		optional("signature_algorithm", text),
		optional("issuer", text),
		optional("validity_not_before", timestamp),
		optional("validity_not_after", timestamp),
		optional("subject", text, shouldBeDecoded),
		optional("subject_public_key_algorithm", text),
		optional("subject_public_key_modulus", text),
		optional("subject_public_key_exponent", integer),
		optional("x509_v3_extensions", structure(x509v3Extensions())),
	}
	return objectType{name: "x509-certificate", kind: sco, contributing: []string{"hashes", "serial_number"}, table: table{
		clause: "STIX 2.1 §6.18.1",
		rows:   rows,
		rules:  []rule{anyRow("STIX 2.1 §6.18", rows)},
	}}
}

// x509v3Extensions is the table of STIX 2.1 §6.18.2.
func x509v3Extensions() table {
	rows := []row{
		optional("basic_constraints", text),
		optional("name_constraints", text),
		optional("policy_constraints", text),
		optional("key_usage", text),
		optional("extended_key_usage", text),
		optional("subject_key_identifier", text),
		optional("authority_key_identifier", text),
		optional("subject_alternative_name", text),
		optional("issuer_alternative_name", text),
		optional("subject_directory_attributes", text),
		optional("crl_distribution_points", text),
		optional("inhibit_any_policy", text),
		optional("private_key_usage_period_not_before", timestamp),
		optional("private_key_usage_period_not_after", timestamp),
		optional("certificate_policies", text),
		optional("policy_mappings", text),
	}
	return table{clause: "STIX 2.1 §6.18.2", rows: rows, rules: []rule{anyRow("STIX 2.1 §6.18.2", rows)}}
}
