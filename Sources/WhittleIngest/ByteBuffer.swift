/// Bytes put together one after the other.
struct ByteBuffer: ~Copyable {
    private var base = UnsafeMutablePointer<UInt8>.allocate(capacity: 4_096)
    private var capacity = 4_096
    private var count = 0

    deinit { base.deallocate() }

    var slice: ByteSlice { ByteSlice(start: UnsafePointer(base), count: count) }

    mutating func clear() { count = 0 }

    private mutating func reserve(_ more: Int) {
        guard count + more > capacity else { return }
        capacity = max(capacity * 2, count + more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.update(from: base, count: count)
        base.deallocate()
        base = larger
    }

    mutating func append(_ slice: ByteSlice) {
        reserve(slice.count)
        (base + count).update(from: slice.start, count: slice.count)
        count += slice.count
    }

    mutating func append(_ byte: UInt8) {
        reserve(1)
        base[count] = byte
        count += 1
    }

    mutating func append(_ numbers: SIMD4<Int32>) {
        reserve(16)
        UnsafeMutableRawPointer(base + count).storeBytes(of: numbers, as: SIMD4<Int32>.self)
        count += 16
    }
}
