// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Every way a Solidity contract says no
/// @notice Tests call these to see whether clients can read the reason. Each function has a view twin in effect: it
/// never changes state, so it serves `eth_call` and real transactions alike.
contract Refusals {
    /// @notice A refusal with values in it.
    error OverLimit(uint256 asked, uint256 limit, address by);

    /// @notice A refusal without values.
    error Closed();

    /// @notice Proof that a transaction was executed and not refused.
    event Accepted(uint256 value);

    uint256[] private few = [1, 2, 3];

    /// @notice Succeeds for 7 and refuses, with a sentence, anything else.
    function onlySeven(uint256 value) external {
        require(value == 7, "seven or nothing");
        emit Accepted(value);
    }

    function withValues(uint256 asked) external {
        if (asked > 100) revert OverLimit(asked, 100, msg.sender);
        emit Accepted(asked);
    }

    function withoutValues() external pure {
        revert Closed();
    }

    function withoutReason() external pure {
        revert();
    }

    /// @notice Panic 0x01.
    function failedAssert(uint256 value) external pure {
        assert(value == 7);
    }

    /// @notice Panic 0x11 when the sum does not fit.
    function overflow(uint256 value) external pure returns (uint256) {
        return type(uint256).max + value;
    }

    /// @notice Panic 0x12 for zero.
    function divide(uint256 by) external pure returns (uint256) {
        return 1000 / by;
    }

    /// @notice Panic 0x32 beyond the third element.
    function element(uint256 index) external view returns (uint256) {
        return few[index];
    }

    /// @notice The refusal of a call inside a call, handed on by Solidity itself.
    function inner(uint256 asked) external {
        this.withValues(asked);
    }

    /// @notice The same, caught: the outer call succeeds and returns the inner refusal's data.
    function caught(uint256 asked) external returns (bool refused, bytes memory data) {
        try this.withValues(asked) {
            return (false, "");
        } catch (bytes memory reason) {
            return (true, reason);
        }
    }

    /// @notice Never ends by itself: gas does.
    function endless() external view returns (uint256 spins) {
        while (gasleft() >= 0) spins++;
    }
}
