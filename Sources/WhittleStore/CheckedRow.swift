import GRDB

extension Row {
    /// The value of a column, where `row[index]` would end the process if a damaged file holds another type or none.
    ///
    /// - Throws: `RowDecodingError`.
    @inline(__always)
    func at<Value: DatabaseValueConvertible & StatementColumnConvertible>(_ index: Int) throws -> Value { try decode(atIndex: index) }

    /// The value of a named column.
    func at<Value: DatabaseValueConvertible & StatementColumnConvertible>(_ column: String) throws -> Value {
        try decode(forColumn: column)
    }
}
