import Foundation

/// What a file is that nobody can read as text, told by how it begins.
package enum FileContent: CaseIterable {
    case database, xz, bzip2, lz4, zip, sevenZip, tar, parquet, avro, snappy, zlib

    /// The bytes that are looked at.
    private static let size = 512

    package init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.size)
        let got = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        self.init(beginning: bytes.prefix(max(got, 0)))
    }

    init?(beginning bytes: ArraySlice<UInt8>) {
        guard let found = Self.allCases.first(where: { bytes.dropFirst($0.offset).starts(with: $0.magic) }) else { return nil }
        // Text may hold the word; only in an archive NULs stand before it.
        if found.offset > 0, !bytes.prefix(found.offset).contains(0) { return nil }
        self = found
    }

    private var magic: [UInt8] {
        switch self {
        case .database: Array("SQLite format 3\0".utf8)
        case .xz: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]
        case .bzip2: Array("BZh".utf8)
        case .lz4: [0x04, 0x22, 0x4D, 0x18]
        case .zip: [0x50, 0x4B, 0x03, 0x04]
        case .sevenZip: [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]
        case .tar: Array("ustar".utf8)
        case .parquet: [0x50, 0x41, 0x52, 0x31, 0x15]
        case .avro: [0x4F, 0x62, 0x6A, 0x01]
        case .snappy: [0xFF, 0x06, 0x00, 0x00, 0x73, 0x4E, 0x61, 0x50, 0x70, 0x59]
        // As usual; at its best it begins so too, with 0xDA.
        case .zlib: [0x78, 0x9C]
        }
    }

    private var offset: Int { self == .tar ? 257 : 0 }

    /// Why it is not read, and what to do.
    var reason: String {
        switch self {
        case .database: "it is an SQLite database and no log"
        case .xz: "xz is not read; decompress it first, for example with `xz -dc`"
        case .bzip2: "bzip2 is not read; decompress it first, for example with `bzip2 -dc`"
        case .lz4: "lz4 is not read; decompress it first, for example with `lz4 -dc`"
        case .zip: "a zip archive is not read; unpack it first"
        case .sevenZip: "a 7z archive is not read; unpack it first"
        case .tar: "a tar archive is not read; unpack it first"
        case .parquet: "Parquet is not read; write it as JSON lines first, for example with `duckdb`"
        case .avro: "Avro is not read; write it as JSON lines first, for example with `avro-tools tojson`"
        case .snappy: "Snappy is not read; decompress it first, for example with `snzip -dc`"
        case .zlib: "zlib is not read; decompress it first, for example with `zlib-flate -uncompress`"
        }
    }
}
