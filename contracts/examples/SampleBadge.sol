// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721URIStorage} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721URIStorage.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

/// @title An OpenZeppelin ERC-721 whose owner hands out numbered badges
contract SampleBadge is ERC721URIStorage, Ownable {
    /// @notice The id the next badge gets.
    uint256 public nextId = 1;

    constructor(address owner_) ERC721("Sample Badge", "BDG") Ownable(owner_) {}

    /// @notice Give a new badge to `to`.
    /// @dev Uses the safe mint, so a contract that does not expect badges refuses it.
    function award(address to, string calldata uri) external onlyOwner returns (uint256 id) {
        id = nextId++;
        _safeMint(to, id);
        _setTokenURI(id, uri);
    }
}
