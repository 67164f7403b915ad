// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title A jar for tips in OPEN
/// @notice Anyone drops native OPEN in with a note; only the owner empties it. The demo deploys this contract.
contract TipJar {
    /// @notice Somebody tipped.
    /// @param from who paid
    /// @param amount wei, which is planck on this chain
    /// @param note what they wrote beside it
    event Tipped(address indexed from, uint256 amount, string note);

    /// @notice The owner emptied the jar.
    event Emptied(address indexed to, uint256 amount);

    /// @notice A tip carried no money.
    error EmptyTip(address from);

    /// @notice Only `owner` may do this.
    error NotOwner(address caller, address owner);

    /// @notice The receiver did not take the money.
    error NotTaken(address to, uint256 amount);

    /// @notice Who may empty the jar.
    address public immutable owner;

    /// @notice All tips ever, in wei; emptying the jar does not lower it.
    uint256 public total;

    /// @notice What each address has tipped so far, in wei.
    mapping(address from => uint256 amount) public givenBy;

    constructor(address owner_) {
        owner = owner_;
    }

    /// @notice Money sent without a note counts as well.
    receive() external payable {
        _take("");
    }

    /// @notice Tip with a note.
    function tip(string calldata note) external payable {
        _take(note);
    }

    /// @notice Send everything in the jar to `to`.
    /// @return amount what was sent, in wei
    function empty(address payable to) external returns (uint256 amount) {
        if (msg.sender != owner) revert NotOwner(msg.sender, owner);
        amount = address(this).balance;
        (bool taken,) = to.call{value: amount}("");
        if (!taken) revert NotTaken(to, amount);
        emit Emptied(to, amount);
    }

    function _take(string memory note) private {
        if (msg.value == 0) revert EmptyTip(msg.sender);
        total += msg.value;
        givenBy[msg.sender] += msg.value;
        emit Tipped(msg.sender, msg.value, note);
    }
}
